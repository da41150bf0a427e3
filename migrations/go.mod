module github.com/orderport/orderport/migrations

go 1.26.0
