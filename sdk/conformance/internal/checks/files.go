package checks

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
)

// checksum returns a file's SHA-256 in hex, or nothing.
func checksum(file string) string {
	data, err := os.ReadFile(file) //nolint:gosec // the profile names it
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
