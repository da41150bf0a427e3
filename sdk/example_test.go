package sdk_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/orderport/orderport/sdk"
	"github.com/orderport/orderport/sdk/configschema"
)

type ftpConfig struct {
	Host     string     `json:"host"`
	Port     int        `json:"port"`
	Password sdk.Secret `json:"password"`
}

const ftpSchema = `{
	"type": "object", "additionalProperties": false, "required": ["host", "password"],
	"properties": {
		"host":     {"type": "string", "minLength": 1},
		"port":     {"type": "integer", "minimum": 1, "maximum": 65535, "default": 21},
		"password": {"type": "string", "writeOnly": true}
	}
}`

func ExampleDecodeConfig() {
	conn, err := sdk.NewConnection("c1", "acme", []byte(ftpSchema), []byte(`{"host":"ftp.acme.example","password":"hunter2"}`))
	if err != nil {
		panic(err)
	}
	cfg, err := sdk.DecodeConfig[ftpConfig](conn)
	fmt.Println(cfg.Host, cfg.Port, cfg.Password, err)
	// Output: ftp.acme.example 21 [secret] <nil>
}

func ExampleDecodeConfig_violations() {
	conn, err := sdk.NewConnection("c1", "acme", []byte(ftpSchema), []byte(`{"port":0,"passwort":"hunter2"}`))
	if err != nil {
		panic(err)
	}
	_, err = sdk.DecodeConfig[ftpConfig](conn)
	var e *sdk.Error
	if errors.As(err, &e) {
		for _, v := range e.Violations {
			fmt.Println(e.Code, v)
		}
	}
	// Output:
	// INVALID_CONFIG host is required
	// INVALID_CONFIG password is required
	// INVALID_CONFIG passwort is not a known field
	// INVALID_CONFIG port must be at least 1
}

func ExampleSteps() {
	steps := sdk.NewSteps(context.Background())
	steps.Run("connect", func(context.Context) (string, error) { return "connected", nil })
	steps.Run("log in", func(context.Context) (string, error) {
		return "", sdk.Errorf(sdk.AuthenticationFailed, "the server refused the password")
	})
	steps.Run("write", func(context.Context) (string, error) { return "never tried", nil })
	result, err := steps.Result()
	for _, step := range result.Steps {
		fmt.Println(step.Name, step.Err == nil)
	}
	fmt.Println(err)
	// Output:
	// connect true
	// log in false
	// the server refused the password
}

func ExampleErrorf() {
	err := sdk.Errorf(sdk.Throttled, "the ERP takes no more orders today")
	fmt.Println(err, err.Code, err.Retryable)
	fmt.Println(errors.Is(err, &sdk.Error{Code: sdk.Throttled}))
	// Output:
	// the ERP takes no more orders today THROTTLED true
	// true
}

func ExampleSecret() {
	password := sdk.NewSecret("hunter2")
	fmt.Printf("%s %v %q %x %#v\n", password, password, password, password, password)
	fmt.Println(len(password.Reveal()))
	// Output:
	// [secret] [secret] [secret] [secret] [secret]
	// 7
}

func ExampleDecimal() {
	price := sdk.Decimal("1.2300")
	rat, ok := price.Rat()
	fmt.Println(price, price.JSON(), rat, ok)
	// Output: 1.2300 1.2300 123/100 true
}

func ExampleOrder_IsNull() {
	var order sdk.Order // as it arrives in ExportRequest.Order
	switch {
	case order.Notes != nil:
		fmt.Println(*order.Notes)
	case order.IsNull("notes"):
		fmt.Println("the order said null")
	default:
		fmt.Println("the order said nothing")
	}
	// Output: the order said nothing
}

func ExampleNewServer() {
	_, err := sdk.NewServer(folder{}) // sdktest does this for unit tests
	fmt.Println(err)
	// Output: <nil>
}

func Example_configschema() {
	schema, err := configschema.Compile([]byte(ftpSchema))
	if err != nil {
		panic(err)
	}
	shown, err := schema.Redact([]byte(`{"host":"ftp.acme.example","password":"hunter2"}`))
	fmt.Println(string(shown), schema.SecretPaths(), err)
	// Output: {"host":"ftp.acme.example"} [password] <nil>
}
