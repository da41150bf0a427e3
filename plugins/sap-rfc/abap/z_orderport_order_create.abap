*"---------------------------------------------------------------------
*" Creates one sales order and commits it, in one call.
*"
*" Over the RFC service of the web server (/sap/bc/soap/rfc) each call is
*" a unit of work of its own: a BAPI call and a commit in a second call
*" save nothing. This function does both. It is remote-enabled and has
*" the parameters of BAPI_SALESORDER_CREATEFROMDAT2, of which it passes
*" on those that the connector fills.
*"
*" SALESDOCUMENT comes back initial if the order is certainly not saved.
*" With an abort (A) in RETURN and a number, the commit itself has failed,
*" and the connector finds out what became of the order.
*"---------------------------------------------------------------------
FUNCTION z_orderport_order_create.
*"*"Local Interface:
*"  IMPORTING
*"     VALUE(ORDER_HEADER_IN) LIKE BAPISDHD1 STRUCTURE BAPISDHD1
*"     VALUE(ORDER_HEADER_INX) LIKE BAPISDHD1X STRUCTURE BAPISDHD1X OPTIONAL
*"     VALUE(BEHAVE_WHEN_ERROR) LIKE BAPIFLAG-BAPIFLAG DEFAULT SPACE
*"     VALUE(TESTRUN) LIKE BAPIFLAG-BAPIFLAG DEFAULT SPACE
*"     VALUE(CONVERT) LIKE BAPIFLAG-BAPIFLAG DEFAULT SPACE
*"  EXPORTING
*"     VALUE(SALESDOCUMENT) LIKE BAPIVBELN-VBELN
*"  TABLES
*"      RETURN STRUCTURE BAPIRET2
*"      ORDER_PARTNERS STRUCTURE BAPIPARNR
*"      ORDER_ITEMS_IN STRUCTURE BAPISDITM OPTIONAL
*"      ORDER_ITEMS_INX STRUCTURE BAPISDITMX OPTIONAL
*"      ORDER_SCHEDULES_IN STRUCTURE BAPISCHDL OPTIONAL
*"      ORDER_SCHEDULES_INX STRUCTURE BAPISCHDLX OPTIONAL
*"      ORDER_CONDITIONS_IN STRUCTURE BAPICOND OPTIONAL
*"      ORDER_CONDITIONS_INX STRUCTURE BAPICONDX OPTIONAL
*"      ORDER_TEXT STRUCTURE BAPISDTEXT OPTIONAL
  DATA: ls_message  TYPE bapiret2,
        lv_number   TYPE bapivbeln-vbeln,
        lv_failed   TYPE c LENGTH 1.

  CLEAR salesdocument.
  REFRESH return.

  CALL FUNCTION 'BAPI_SALESORDER_CREATEFROMDAT2'
    EXPORTING
      order_header_in      = order_header_in
      order_header_inx     = order_header_inx
      behave_when_error    = behave_when_error
      testrun              = testrun
      convert              = convert
    IMPORTING
      salesdocument        = lv_number
    TABLES
      return               = return
      order_items_in       = order_items_in
      order_items_inx      = order_items_inx
      order_partners       = order_partners
      order_schedules_in   = order_schedules_in
      order_schedules_inx  = order_schedules_inx
      order_conditions_in  = order_conditions_in
      order_conditions_inx = order_conditions_inx
      order_text           = order_text.

* An error refuses the order, unless the caller wants what is left of it.
* An abort always does.
  LOOP AT return INTO ls_message WHERE type CA 'EAX'.
    IF ls_message-type <> 'E' OR behave_when_error <> 'P'.
      lv_failed = 'X'.
    ENDIF.
  ENDLOOP.
  IF lv_number IS INITIAL OR testrun <> space.
    lv_failed = 'X'.
  ENDIF.

  IF lv_failed = 'X'.
    CALL FUNCTION 'BAPI_TRANSACTION_ROLLBACK'.
    RETURN.
  ENDIF.

* WAIT: come back when the update has ended, so that the order is found.
  CLEAR ls_message.
  CALL FUNCTION 'BAPI_TRANSACTION_COMMIT'
    EXPORTING
      wait   = 'X'
    IMPORTING
      return = ls_message.
  IF ls_message-type CA 'EAX'.
* An abort, whatever the caller takes of an order with errors.
    ls_message-type = 'A'.
    APPEND ls_message TO return.
  ENDIF.
  salesdocument = lv_number.
ENDFUNCTION.
