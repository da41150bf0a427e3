// Package seal encrypts the configs of connections, so that neither the
// database nor its backups hold an ERP's password in the clear.
//
// A blob is 12 random bytes (IV), the ciphertext, and a 16-byte tag:
// AES-256-GCM over the config's JSON. There are two versions of it:
//
//   - Version 0 has no additional data. Any program that has the key can make
//     one. Without a key id every known key is tried.
//   - Version 1 is what the host writes. The additional data binds the blob to
//     its row: a blob that was copied to another connection does not open.
//
// The additional data of version 1 is these four lines, joined by "\n" without
// one at the end: "orderport/erp_connection/v1", the organization's id, the
// connection's id (both in 36-character lower-case form), and the connector
// type.
//
// Keys rotate: [Keyring] seals with the current key and opens with the
// previous ones, too, while [Rotate] re-seals every row.
package seal
