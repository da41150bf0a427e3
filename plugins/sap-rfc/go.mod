module github.com/orderport/orderport/plugins/sap-rfc

go 1.26

require (
	github.com/orderport/orderport/proto v0.0.0
	github.com/orderport/orderport/sdk v0.0.0
)

replace github.com/orderport/orderport/proto => ../../proto

replace github.com/orderport/orderport/sdk => ../../sdk
