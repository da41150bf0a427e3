// Command orderport-connector-sap-rfc is the connector SAP_RFC: each approved
// order becomes one sales order in SAP, through the SAP NetWeaver RFC library
// or through SAP's RFC service over HTTPS.
//
// SAP has no key that keeps an order from being created twice. So the document
// carries a reference that follows from the export; a checkpoint is saved
// before the create; and an attempt that finds one looks the reference up before
// it creates anything. README.md follows one order through it. The files of the
// package, from the outside in:
//
//   - connector.go and config.go: what the host sees
//   - export.go, create.go, checkpoint.go: the life of an export, step by step
//   - lookup.go: how an order is found again
//   - map_order.go: the order in SAP's terms; fit.go: and in those of the
//     system's release
//   - returns.go: what SAP says about an order
//   - probe.go: TestConnection
//   - pool.go: the sessions
//   - errors.go: failures as the Port's codes
//
// Package rfc, below internal, is what the above needs of a way into SAP;
// packages nwrfc and soap implement it.
package main
