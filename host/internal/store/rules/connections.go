package rules

import "github.com/orderport/orderport/host/internal/domain"

// Only returns the one active connection that fits, out of at most two.
func Only(found []domain.Connection, connectorType string) (domain.Connection, error) {
	switch len(found) {
	case 0:
		return domain.Connection{}, NoActiveConnection(connectorType)
	case 1:
		return found[0], nil
	default:
		return domain.Connection{}, ConnectorTypeRequired()
	}
}
