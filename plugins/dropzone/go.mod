module github.com/orderport/orderport/plugins/dropzone

go 1.26.0

require (
	github.com/orderport/orderport/proto v0.0.0
	github.com/orderport/orderport/sdk v0.0.0
)

require (
	github.com/google/go-cmp v0.7.0 // indirect
	github.com/kr/fs v0.1.0 // indirect
	github.com/pkg/sftp v1.13.12 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/orderport/orderport/proto => ../../proto

replace github.com/orderport/orderport/sdk => ../../sdk
