// Package icf is the web server of a simulated SAP system, with the one service
// that the connector uses: RFC over SOAP at /sap/bc/soap/rfc.
//
// It behaves as the real one is known to. Each POST is a session and a unit of
// work of its own, whatever cookie it carries, so what a call leaves
// uncommitted is lost with its answer. The cookie only saves a logon: a client
// that does not send it back leaves a security session behind with every call.
// A table that was not sent does not come back. What is not the service's own
// answer is a page in HTML, as with a refused logon.
//
// A client that goes away does not stop the function that it has called.
package icf
