package connector

// maxPayloadName bounds the name of a payload.
const maxPayloadName = 200

// IsPayloadName says whether a connector may give a payload this name: 1 to 200
// letters, digits, ".", "_" and "-", without "." in front.
func IsPayloadName(name string) bool {
	if name == "" || len(name) > maxPayloadName || name[0] == '.' {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
