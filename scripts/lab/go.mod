module github.com/orderport/orderport/scripts/lab

go 1.26.0

require github.com/google/uuid v1.6.0

replace (
	github.com/orderport/orderport/proto => ../../proto
	github.com/orderport/orderport/sdk => ../../sdk
)
