// Package pluginhost runs connector binaries as processes and offers them as a
// connector.Registry.
//
// # Life of a connector
//
// The plugin directory is looked through at the start and then every few
// seconds. Each file named orderport-connector-* is a unit with one goroutine
// that owns it:
//
//  1. The file is copied and hashed (package image). Unless the host runs in
//     development mode, connectors.lock.json must pin file name and digest
//     (package lock); otherwise nothing runs.
//  2. The copy is started (package launch) and asked Describe, with deadlines.
//     What it says is checked, and compared with the lock. Then it is
//     registered under the connector type that it advertises: ready.
//  3. Calls go to the ready process. Each has the caller's deadline; a cheap
//     ping in between finds a process that is there and answers nobody.
//  4. When the process dies, calls under way end with a CrashError that names
//     the exit status and the last line of output. The same copy is started
//     again, almost at once, later with growing pauses: backoff. It must
//     describe itself as before. Calls that come in the meantime wait a
//     bounded time.
//  5. A process that keeps dying without having done anything is quarantined:
//     calls fail at once with the reason. It is tried again when the file or
//     the lock changes, when an operator asks (Rescan), and after a long pause.
//  6. When the file is replaced by another one that may run, that one is
//     started next to the old one. Only when it has described itself, new
//     calls go to it; the old process drains: it ends what it has, and is
//     stopped. A new binary that does not work changes nothing but the reason
//     that Status shows.
//
// Whatever a unit does, the other units and the host go on.
package pluginhost
