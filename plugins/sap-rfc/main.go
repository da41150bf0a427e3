package main

import "github.com/orderport/orderport/sdk"

func main() { sdk.Serve(newConnector()) }
