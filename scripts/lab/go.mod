module github.com/orderport/orderport/scripts/lab

go 1.26.0

require (
	github.com/google/uuid v1.6.0
	github.com/orderport/orderport/sdk v0.0.0-00010101000000-000000000000
)

replace (
	github.com/orderport/orderport/proto => ../../proto
	github.com/orderport/orderport/sdk => ../../sdk
)
