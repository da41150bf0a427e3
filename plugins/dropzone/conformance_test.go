package main

import (
	"os"
	"testing"
	"time"

	"github.com/orderport/orderport/sdk/conformance"
	"github.com/orderport/orderport/sdk/conformance/profile"
	"github.com/orderport/orderport/sdk/sdktest/sshtest"
)

// conform runs the checks of the Port's contract on the binary as it is
// shipped.
func conform(t *testing.T, kind profile.Kind, config fields) {
	t.Parallel()
	conformance.Test(t, conformance.Target{
		Binary: conformance.Build(t, "."),
		Config: config,
		Target: profile.Target{Kind: kind, Orders: "sales_order_*.json"},
		Acks: &profile.Acks{
			Positive: profile.AckFile{Name: "ack_${external_ref}", Data: `{"status":"ACKED","erp_order_id":"${erp_order_id}"}`},
			Negative: profile.AckFile{
				Name: "error_${external_ref}",
				Data: `{"status":"FAILED","error_code":"${error_code}","message":"${message}"}`,
			},
			Settle: profile.Duration(quietAfter),
		},
		PreviousSchema: "config.schema.json",
		Limits:         profile.Limits{Slack: profile.Duration(time.Second)}, // other tests run meanwhile
	})
}

func TestConformanceInADirectory(t *testing.T) {
	conform(t, profile.Directory, fields{
		"mode": "filesystem", "export_path": "${dir}", "ack_path": "${ack_dir}", "password": "${canary}",
	})
}

var overSFTP = fields{
	"mode": "sftp", "host": "${host}", "port": "${port}", "username": "${user}", "host_key": "${host_key}",
	"export_path": "${dir}", "ack_path": "${ack_dir}", "timeout_seconds": 10,
}

func TestConformanceOverSFTP(t *testing.T) {
	conform(t, profile.SFTP, overSFTP.with("password", "${password}"))
}

func TestConformanceOverOpenSSH(t *testing.T) {
	if os.Getenv(sshtest.OpenSSH.Env()) == "" {
		t.Skipf("%s is not set; make test sets it", sshtest.OpenSSH.Env())
	}
	conform(t, profile.OpenSSH, overSFTP.with("private_key", "${private_key}"))
}
