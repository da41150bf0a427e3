module github.com/orderport/orderport/scripts

go 1.26.0
