package tunnel

import (
	"context"
	"errors"
	"strings"
	"testing"

	connectorv1 "github.com/orderport/orderport/proto/orderport/connector/v1"
)

func frame(text string) *connectorv1.TunnelResponseFrame {
	return &connectorv1.TunnelResponseFrame{Call: 1, End: &connectorv1.TunnelEnd{Message: text}}
}

func TestNothingOfACallComesBehindItsCancel(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := o.put(ctx, frame("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if sent := o.take(nil); len(sent) > 0 {
		t.Errorf("%q would be sent", sent)
	}
}

func TestAFullOutboxMakesSendersWait(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	for _, size := range []int{full - 100, largest - 100} {
		if err := o.put(t.Context(), frame(strings.Repeat("x", size))); err != nil {
			t.Fatal(err)
		}
	}
	added := make(chan error, 1)
	go func() { added <- o.put(t.Context(), frame("more")) }()
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { gone <- o.put(ctx, frame("of a call that ends")) }()
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	o.force(frame("an end"))
	if sent := o.take(nil); len(sent) > maxMessage {
		t.Errorf("a message of %d bytes", len(sent))
	}
	if err := <-added; err != nil {
		t.Error(err)
	}
	o.close()
	if err := o.put(t.Context(), frame("late")); !errors.Is(err, errClosed) {
		t.Errorf("got %v", err)
	}
}
