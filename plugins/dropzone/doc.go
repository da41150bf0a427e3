// Command orderport-connector-dropzone is the connector DROPZONE_JSON_V1: it
// delivers each approved order as one JSON file into a directory, over SFTP or
// in a file system, and reads the acks that the ERP leaves there.
//
// An order becomes visible by one rename of a complete, flushed file, and only
// after the host holds a checkpoint that names it; README.md follows one order
// through it. The files of the package, from the outside in:
//
//   - connector.go and config.go: what the host sees
//   - export.go, direct.go, checkpoint.go: the life of an export, step by step
//   - map_order.go: the order as a JSON document
//   - acks.go, ack_file.go: the ERP's answers
//   - probe.go: TestConnection
//   - target.go: what the above needs of a place for files; filesystem.go and
//     sftp.go implement it, sftp_pool.go, sftp_dial.go and host_key.go hold the
//     latter's sessions
//   - publisher.go: the two steps that an export makes of a target's calls;
//     rounds.go shares what they cost in one directory
//   - errors.go: failures of files and servers as the Port's codes
package main
