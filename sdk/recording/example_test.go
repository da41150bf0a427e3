package recording_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/orderport/orderport/sdk/recording"
	"github.com/orderport/orderport/sdk/sdktest"
)

// A recording of a TestConnection that succeeded is played to a connector that
// fails it. In a connector's own tests, sdktest.Host.Replay does the same with
// a file.
func ExampleRecording_Replay() {
	const recorded = `{"recording":1,"call":"TestConnection","connector_type":"FOLDER","connector_version":"1.0.0"}
{"at_ms":0.1,"to":"connector","message":{"connection":{"id":"c1","config":"e30="}}}
{"at_ms":2.5,"to":"host","message":{"success":true,"steps":[{"name":"connect","success":true}]}}
{"at_ms":2.6,"end":{"status":"OK"}}`
	call, err := recording.Read(strings.NewReader(recorded))
	if err != nil {
		panic(err)
	}
	t := &testing.T{} // yours
	connector := folder{failure: errors.New("something is wrong")}
	differences, err := call.Replay(context.Background(), sdktest.New(t, connector).Client(), nil)
	for _, d := range differences {
		fmt.Println(d)
	}
	fmt.Println(err)
	// Output:
	// step: recorded step connect success=true, replayed step connect success=false
	// test: recorded test success=true, replayed test success=false error=INTERNAL retryable=true
	// <nil>
}
