package sapsim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Release is how a release of SAP differs: in its name, in whether it has the
// fields and parameters of S/4HANA, and in fields by name.
type Release struct {
	Name string
	S4   bool
	// Without are fields that it lacks, such as "BAPISDHD1-PURCH_NO_S".
	Without []string
	// Lengths are other lengths of fields.
	Lengths map[string]int
}

// The releases.
var (
	S4  = Release{Name: "758", S4: true}
	ECC = Release{Name: "617"}
)

// structures are the dictionary, by the names of structures. A field is
// NAME:KIND[LENGTH][.DECIMALS]; S4: stands before those that only S/4HANA has.
var structures = map[string]string{
	"BAPISDHD1": `REFOBJTYPE:C10 REFOBJKEY:C70 REFDOCTYPE:C10 DOC_TYPE:C4 COLLECT_NO:C10 SALES_ORG:C4 DISTR_CHAN:C2 DIVISION:C2
		SALES_GRP:C3 SALES_OFF:C4 REQ_DATE_H:D DATE_TYPE:C1 PURCH_DATE:D PO_METHOD:C4 PO_SUPPLEM:C4 REF_1:C12 NAME:C35 TELEPHONE:C16
		PRICE_GRP:C2 CUST_GROUP:C2 SALES_DIST:C6 PRICE_LIST:C2 INCOTERMS1:C3 INCOTERMS2:C28 PMNTTRMS:C4 DLV_BLOCK:C2 BILL_BLOCK:C2
		ORD_REASON:C3 COMPL_DLV:C1 PRICE_DATE:D PURCH_NO_C:C35 PURCH_NO_S:C35 PO_DAT_S:D PO_METH_S:C4 REF_1_S:C12 DOC_DATE:D
		ASS_NUMBER:C18 REF_DOC:C10 REFDOC_CAT:C1 CURRENCY:C5 CURR_ISO:C3 CREATED_BY:C12 VERSION:C12 WBS_ELEM:C24 REF_DOC_L:C16
		SHIP_COND:C2 EXRATE_FI:P5.5 EXCHG_RATE:P5.5 S4:REF_DOC_L_LONG:C35 S4:INCOTERMSV:C4 S4:INCOTERMS2L:C70 S4:INCOTERMS3L:C70 S4:CAMPAIGN:X16`,
	"BAPISDITM": `ITM_NUMBER:N6 HG_LV_ITEM:N6 PO_ITM_NO:C6 MATERIAL:C18 BATCH:C10 DLV_GROUP:N3 PART_DLV:C1 REASON_REJ:C2 BILL_BLOCK:C2
		PLANT:C4 STORE_LOC:C4 TARGET_QTY:P7.3 TARGET_QU:C3 T_UNIT_ISO:C3 ITEM_CATEG:C4 SHORT_TEXT:C40 SHIP_POINT:C4 ROUTE:C6 PMNTTRMS:C4
		PRICE_DATE:D PROFIT_CTR:C10 WBS_ELEM:C24 ORDERID:C12 REF_DOC:C10 REF_DOC_IT:N6 REF_DOC_CA:C1 PURCH_NO_C:C35 PURCH_NO_S:C35
		POITM_NO_S:C6 CUST_MAT22:C22 CUST_MAT35:C35 EAN_UPC:C18 SALES_UNIT:C3 S_UNIT_ISO:C3 TARGET_VAL:P15.9 CURRENCY:C5 CURR_ISO:C3
		S4:MAT_EXT:C40 S4:MAT_GUID:C32 S4:MAT_VERS:C10 S4:MATERIAL_LONG:C40`,
	"BAPISCHDL": `ITM_NUMBER:N6 SCHED_LINE:N4 REQ_DATE:D DATE_TYPE:C1 REQ_TIME:T REQ_QTY:P7.3 REQ_DLV_BL:C2 SCHED_TYPE:C2 TP_DATE:D MS_DATE:D
		LOAD_DATE:D GI_DATE:D TP_TIME:T MS_TIME:T LOAD_TIME:T GI_TIME:T REFOBJTYPE:C10 REFOBJKEY:C70 REFLOGSYS:C10 DLV_DATE:D DLV_TIME:T
		REL_TYPE:C1 PLAN_SCHED_TYPE:C1`,
	"BAPIPARNR": `PARTN_ROLE:C2 PARTN_NUMB:C10 ITM_NUMBER:N6 TITLE:C15 NAME:C35 NAME_2:C35 NAME_3:C35 NAME_4:C35 STREET:C35 COUNTRY:C3
		COUNTR_ISO:C2 POSTL_CODE:C10 POBX_PCD:C10 POBX_CTY:C35 CITY:C35 DISTRICT:C35 REGION:C3 PO_BOX:C10 TELEPHONE:C16 LANGU:C1 LANGU_ISO:C2
		UNLOAD_PT:C25 TRANSPZONE:C10 TAXJURCODE:C15 ADDRESS:C10 ADDR_LINK:C10 S4:VAT_REG_NO:C20`,
	"BAPICOND": `ITM_NUMBER:N6 COND_ST_NO:N3 COND_COUNT:N2 COND_TYPE:C4 COND_VALUE:P15.9 CURRENCY:C5 COND_UNIT:C3 COND_P_UNT:P3 CURR_ISO:C3
		CD_UNT_ISO:C3 S4:CONDCHAREN:C1`,
	"BAPICONDX":   `ITM_NUMBER:N6 COND_ST_NO:N3 COND_COUNT:N2 COND_TYPE:C4 UPDATEFLAG:C1 COND_VALUE:C1 CURRENCY:C1 COND_UNIT:C1 COND_P_UNT:C1 VARCOND:C26`,
	"BAPISDTEXT":  `DOC_NUMBER:C10 ITM_NUMBER:N6 TEXT_ID:C4 LANGU:C1 LANGU_ISO:C2 FORMAT_COL:C2 TEXT_LINE:C132 FUNCTION:C3`,
	"BAPIPAREX":   `STRUCTURE:C30 VALUEPART1:C240 VALUEPART2:C240 VALUEPART3:C240 VALUEPART4:C240`,
	"BAPI_SENDER": `LOG_SYSTEM:C10`,
	"BAPISDLS":    `PRICING:C1 ATP_WRKMOD:C1 SCHEDULING:C1 NOSTRUCTURE:C1 COND_HANDL:C1 ADDR_CHECK:C1`,
	"BAPISDKEY":   `REFOBJTYPE:C10 REFOBJKEY:C70 DOC_NUMBER:C10 ITM_NUMBER:N6 SCHED_LINE:N4`,
	"BAPIADDR1":   `ADDR_NO:C10 NAME:C40 CITY:C40 POSTL_COD1:C10 STREET:C60 COUNTRY:C3`,
	"BAPIRET2": `TYPE:C1 ID:C20 NUMBER:N3 MESSAGE:C220 LOG_NO:C20 LOG_MSG_NO:N6 MESSAGE_V1:C50 MESSAGE_V2:C50 MESSAGE_V3:C50 MESSAGE_V4:C50
		PARAMETER:C32 ROW:I4 FIELD:C30 SYSTEM:C10`,
	"BAPIRETURN": `TYPE:C1 CODE:C5 MESSAGE:C220 LOG_NO:C20 LOG_MSG_NO:N6 MESSAGE_V1:C50 MESSAGE_V2:C50 MESSAGE_V3:C50 MESSAGE_V4:C50`,
	"BAPIORDERS": `SD_DOC:C10 ITM_NUMBER:N6 MATERIAL:C18 SHORT_TEXT:C40 DOC_TYPE:C4 DOC_DATE:D REQ_QTY:P7.3 REQ_DATE:D PURCH_NO:C20 NET_PRICE:P12.4
		CURRENCY:C5 SALES_ORG:C4 DISTR_CHAN:C2 DIVISION:C2 S4:PURCH_NO_C:C35 S4:MATERIAL_LONG:C40`,
	"BAPISDSTAT": `DOC_NUMBER:C10 DOC_DATE:D PURCH_NO:C20 ITM_NUMBER:N6 MATERIAL:C18 REQ_QTY:P7.3 S4:PURCH_NO_C:C35`,
	"BAPIVBELN":  `VBELN:C10`,
	"RFCSI": `RFCPROTO:C3 RFCCHARTYP:C4 RFCINTTYP:C3 RFCFLOTYP:C3 RFCDEST:C32 RFCHOST:C8 RFCSYSID:C8 RFCDATABS:C8 RFCDBHOST:C32 RFCDBSYS:C10
		RFCSAPRL:C4 RFCMACH:C5 RFCOPSYS:C10 RFCTZONE:C6 RFCDAYST:C1 RFCIPADDR:C15 RFCKERNRL:C4 RFCHOST2:C32 RFCSI_RESV:C12 RFCIPV6ADDR:C45`,
	"RFC_DB_OPT": `TEXT:C72`,
	"RFC_DB_FLD": `FIELDNAME:C30 OFFSET:N6 LENGTH:N6 TYPE:C1 FIELDTEXT:C60`,
	"TAB512":     `WA:C512`,
	"RFC_LINE":   `LINE:S`,
}

// flagless are fields without a flag in the X structures.
var flagless = map[string]bool{
	"REFOBJTYPE": true, "REFOBJKEY": true, "REFDOCTYPE": true, "CURR_ISO": true, "CREATED_BY": true, "T_UNIT_ISO": true, "S_UNIT_ISO": true, "REFLOGSYS": true,
}

// interfaces are the function modules. A parameter is DIRECTION NAME TYPE, where
// the direction is i, e or t, in capitals if the parameter is required; TYPE is
// a kind or the name of a structure. S4: stands before those that only S/4HANA
// has.
var interfaces = map[string]string{
	"RFC_PING":                  ``,
	"RFC_PING_AND_WAIT":         `I SECONDS I4`,
	"STFC_CONNECTION":           `i REQUTEXT C255; e ECHOTEXT C255; e RESPTEXT C255`,
	"RFC_SYSTEM_INFO":           `e RFCSI_EXPORT RFCSI`,
	"BAPI_TRANSACTION_COMMIT":   `i WAIT C1; e RETURN BAPIRET2`,
	"BAPI_TRANSACTION_ROLLBACK": `e RETURN BAPIRET2`,
	"BAPI_SALESORDER_CREATEFROMDAT2": `I ORDER_HEADER_IN BAPISDHD1; i ORDER_HEADER_INX BAPISDHD1X; i SALESDOCUMENTIN C10; i SENDER BAPI_SENDER;
		i BINARY_RELATIONSHIPTYPE C4; i INT_NUMBER_ASSIGNMENT C1; i BEHAVE_WHEN_ERROR C1; i LOGIC_SWITCH BAPISDLS; i TESTRUN C1; i CONVERT C1;
		S4:i NO_DEQUEUE_ALL C1; e SALESDOCUMENT C10; T ORDER_PARTNERS BAPIPARNR; ` + orderTables + `;
		t ORDER_KEYS BAPISDKEY; t EXTENSIONIN BAPIPAREX; t PARTNERADDRESSES BAPIADDR1; S4:t EXTENSIONEX BAPIPAREX; t RETURN BAPIRET2`,
	"BAPI_SALESORDER_GETLIST": `I CUSTOMER_NUMBER C10; I SALES_ORGANIZATION C4; i DOCUMENT_DATE D; i DOCUMENT_DATE_TO D; i MATERIAL C18;
		i PURCHASE_ORDER C20; i TRANSACTION_GROUP C1; S4:i MATERIAL_LONG C40; S4:i PURCHASE_ORDER_NUMBER C35; e RETURN BAPIRETURN; t SALES_ORDERS BAPIORDERS`,
	"BAPI_SALESORDER_GETSTATUS": `I SALESDOCUMENT C10; e RETURN BAPIRETURN; t STATUSINFO BAPISDSTAT`,
	"RFC_READ_TABLE": `I QUERY_TABLE C30; i DELIMITER C1; i NO_DATA C1; i ROWSKIPS I4; i ROWCOUNT I4; S4:i GET_SORTED C1; S4:i USE_ET_DATA_4_RETURN C1;
		S4:e ET_DATA RFC_LINE[]; t OPTIONS RFC_DB_OPT; t FIELDS RFC_DB_FLD; t DATA TAB512`,
}

const orderTables = `t ORDER_ITEMS_IN BAPISDITM; t ORDER_ITEMS_INX BAPISDITMX; t ORDER_SCHEDULES_IN BAPISCHDL; t ORDER_SCHEDULES_INX BAPISCHDLX;
	t ORDER_CONDITIONS_IN BAPICOND; t ORDER_CONDITIONS_INX BAPICONDX; t ORDER_TEXT BAPISDTEXT`

// customerInterfaces are those of the folder abap.
var customerInterfaces = map[string]string{
	"Z_ORDERPORT_ORDER_CREATE": `I ORDER_HEADER_IN BAPISDHD1; i ORDER_HEADER_INX BAPISDHD1X; i BEHAVE_WHEN_ERROR C1; i TESTRUN C1; i CONVERT C1;
		e SALESDOCUMENT C10; t RETURN BAPIRET2; T ORDER_PARTNERS BAPIPARNR; ` + orderTables,
	"Z_ORDERPORT_ORDER_FIND": `I I_REFERENCE C35; I I_FIELD C30; e E_SEARCHED C1; t ORDERS BAPIVBELN`,
}

// bodies are what the functions do.
var bodies = map[string]func(*Session, Parameters) (Parameters, error){
	"RFC_PING": ping, "RFC_PING_AND_WAIT": pingAndWait, "STFC_CONNECTION": connection, "RFC_SYSTEM_INFO": systemInfo,
	"BAPI_TRANSACTION_COMMIT": commit, "BAPI_TRANSACTION_ROLLBACK": rollback,
	"BAPI_SALESORDER_CREATEFROMDAT2": createFromDat2, "BAPI_SALESORDER_GETLIST": getList, "BAPI_SALESORDER_GETSTATUS": getStatus,
	"RFC_READ_TABLE":           readTable,
	"Z_ORDERPORT_ORDER_CREATE": createAndCommit, "Z_ORDERPORT_ORDER_FIND": findByReference,
}

// lexicon is the dictionary and the function modules of one release.
type lexicon struct {
	release    Release
	structures map[string]*Structure
	functions  map[string]*Function
}

// Own is a function module that a test brings along.
type Own struct {
	Name string
	// Interface is its parameters: DIRECTION NAME TYPE, separated by semicolons.
	// The direction is i, e, c or t, in capitals if the parameter is required;
	// TYPE is a kind such as C10, N6, D, T, P7.3, I4 or S, or a structure's name.
	Interface string
	// Structures are further structures: NAME:TYPE, separated by blanks.
	Structures map[string]string
	// Body is what it does; nil is nothing.
	Body func(*Session, Parameters) (Parameters, error)
}

func newLexicon(release Release, customer bool, own []Own) *lexicon {
	l := &lexicon{release: release, structures: map[string]*Structure{}, functions: map[string]*Function{}}
	for _, name := range slices.Sorted(maps.Keys(structures)) {
		l.structures[name] = l.structure(name, structures[name])
	}
	l.flags("BAPISDHD1", "BAPISDHD1X")
	l.flags("BAPISDITM", "BAPISDITMX", "ITM_NUMBER")
	l.flags("BAPISCHDL", "BAPISCHDLX", "ITM_NUMBER", "SCHED_LINE")
	for _, s := range l.structures {
		s.pad(release.S4)
	}
	for name, parameters := range interfaces {
		l.functions[name] = l.function(name, parameters)
	}
	if customer {
		for name, parameters := range customerInterfaces {
			l.functions[name] = l.function(name, parameters)
		}
	}
	for _, o := range own {
		for name, fields := range o.Structures {
			l.structures[name] = l.structure(name, fields)
		}
		f := l.function(o.Name, o.Interface)
		if f.body = o.Body; f.body == nil {
			f.body = ping
		}
		l.functions[o.Name] = f
	}
	return l
}

// here takes the mark off a declaration, and says whether the release has it.
func (l *lexicon) here(declaration string) (string, bool) {
	declaration, newer := strings.CutPrefix(declaration, "S4:")
	return declaration, !newer || l.release.S4
}

func (l *lexicon) structure(name, declaration string) *Structure {
	s := &Structure{Name: name}
	for field := range strings.FieldsSeq(declaration) {
		if field, ok := l.here(field); ok {
			fieldName, kind, _ := strings.Cut(field, ":")
			path := name + "-" + fieldName
			if slices.Contains(l.release.Without, path) {
				continue
			}
			f := parseField(fieldName, kind)
			if n, ok := l.release.Lengths[path]; ok {
				f.Length = n
			}
			s.Fields = append(s.Fields, f)
		}
	}
	return s
}

// parseField reads a kind such as P7.3.
func parseField(name, kind string) Field {
	f := Field{Name: name, Kind: kind[0]}
	length, decimals, _ := strings.Cut(kind[1:], ".")
	f.Length, _ = strconv.Atoi(length)
	f.Decimals, _ = strconv.Atoi(decimals)
	switch f.Kind {
	case 'D':
		f.Length = 8
	case 'T':
		f.Length = 6
	}
	return f
}

// flags makes an X structure: keys first, then a flag for each other field.
func (l *lexicon) flags(base, name string, keys ...string) {
	x := &Structure{Name: name}
	for _, key := range keys {
		f, _ := l.structures[base].Field(key)
		x.Fields = append(x.Fields, f)
	}
	x.Fields = append(x.Fields, Field{Name: "UPDATEFLAG", Kind: 'C', Length: 1})
	for _, f := range l.structures[base].Fields {
		if !slices.Contains(keys, f.Name) && !flagless[f.Name] && !slices.Contains(l.release.Without, name+"-"+f.Name) {
			x.Fields = append(x.Fields, Field{Name: f.Name, Kind: 'C', Length: 1})
		}
	}
	if name == "BAPISCHDLX" {
		x.Fields = append(x.Fields, Field{Name: "REFOBJTYPE", Kind: 'C', Length: 10}, Field{Name: "REFOBJKEY", Kind: 'C', Length: 70})
	}
	l.structures[name] = x
}

func (l *lexicon) function(name, declaration string) *Function {
	f := &Function{Name: name, body: bodies[name]}
	for one := range strings.SplitSeq(declaration, ";") {
		one, ok := l.here(strings.TrimSpace(one))
		words := strings.Fields(one)
		if !ok || len(words) == 0 || slices.Contains(l.release.Without, name+"-"+words[1]) {
			continue
		}
		f.Parameters = append(f.Parameters, l.parameter(words[0], words[1], words[2]))
	}
	return f
}

func (l *lexicon) parameter(direction, name, kind string) Parameter {
	p := Parameter{Name: name, Optional: direction == strings.ToLower(direction)}
	switch strings.ToLower(direction) {
	case "i":
		p.Direction = Import
	case "e":
		p.Direction = Export
	case "c":
		p.Direction = Changing
	default:
		p.Direction = Tables
	}
	kind, table := strings.CutSuffix(kind, "[]")
	if table {
		// An export parameter of a table type: newer functions have them.
		p.Table = true
	}
	if s, ok := l.structures[kind]; ok {
		p.Structure = s
		return p
	}
	if !strings.Contains("CNDTPIXS", kind[:1]) {
		panic(fmt.Sprintf("parameter %s has no type", name))
	}
	p.Field = parseField(name, kind)
	return p
}
