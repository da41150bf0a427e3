package sshtest

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy is a TCP proxy on loopback that can spoil the connections through it.
// Its methods are safe for concurrent use and act on open connections, too.
type Proxy struct {
	// Addr is "127.0.0.1:port"; Port is its last part.
	Addr string
	Port int

	target string
	ln     net.Listener
	wg     sync.WaitGroup

	accepted atomic.Int64
	delay    atomic.Int64 // nanoseconds for each chunk towards the server

	mu        sync.Mutex
	links     map[*link]struct{} // guarded by mu
	closed    bool               // guarded by mu
	refuse    bool               // guarded by mu
	swallow   bool               // guarded by mu
	unswallow chan struct{}      // guarded by mu; closed when swallow ends
	cutAfter  int64              // guarded by mu; bytes to the server that may still pass, -1: no bound
}

// link is one proxied connection.
type link struct{ client, server net.Conn }

func (l *link) cut() {
	// Without lingering the peers see a reset, as from a dead router, and not
	// an orderly end.
	for _, c := range []net.Conn{l.client, l.server} {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}

// StartProxy starts a proxy in front of addr.
func StartProxy(addr string) (*Proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start proxy: %w", err)
	}
	p := &Proxy{
		Addr: ln.Addr().String(), Port: ln.Addr().(*net.TCPAddr).Port,
		target: addr, ln: ln, links: map[*link]struct{}{}, cutAfter: -1,
	}
	p.wg.Go(p.accept)
	return p, nil
}

// Accepted counts the connections so far.
func (p *Proxy) Accepted() int { return int(p.accepted.Load()) }

// Open counts the connections that are open now.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Cut resets all open connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.cut()
	}
}

// Refuse makes the proxy reset new connections at once, or not.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = on
}

// CutAfter resets all connections once n more bytes have gone to the server.
// Bytes up to the n-th arrive. A negative n takes the bound away.
func (p *Proxy) CutAfter(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutAfter = n
}

// Delay holds back each chunk towards the server for d.
func (p *Proxy) Delay(d time.Duration) { p.delay.Store(int64(d)) }

// Blackhole stops passing what is sent in either direction, without closing
// anything, until it is switched off; then what was held back passes.
func (p *Proxy) Blackhole(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if on && !p.swallow {
		p.unswallow = make(chan struct{})
	}
	if !on && p.swallow {
		close(p.unswallow)
	}
	p.swallow = on
}

// Close cuts all connections and ends the proxy. Closing twice is harmless.
func (p *Proxy) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.closed = true
	p.mu.Unlock()
	_ = p.ln.Close()
	p.Blackhole(false)
	p.Cut()
	p.wg.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.accepted.Add(1)
		p.wg.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	server, err := net.DialTimeout("tcp", p.target, 5*time.Second)
	if err != nil {
		(&link{client: client, server: client}).cut()
		return
	}
	l := &link{client: client, server: server}
	if !p.add(l) {
		l.cut()
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { p.pass(l, server, client, true) })
	wg.Go(func() { p.pass(l, client, server, false) })
	wg.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

func (p *Proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.refuse {
		return false
	}
	p.links[l] = struct{}{}
	return true
}

// pass copies one direction until either end closes.
func (p *Proxy) pass(l *link, to, from net.Conn, toServer bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if toServer {
				time.Sleep(time.Duration(p.delay.Load()))
			}
			p.awaitPassage()
			allowed, cut := p.allow(n, toServer)
			if _, werr := to.Write(buf[:allowed]); werr != nil {
				return
			}
			if cut {
				p.Cut()
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// awaitPassage waits while the proxy is a black hole.
func (p *Proxy) awaitPassage() {
	p.mu.Lock()
	swallow, done := p.swallow, p.unswallow
	p.mu.Unlock()
	if swallow {
		<-done
	}
}

// allow takes n bytes from what may still pass to the server.
func (p *Proxy) allow(n int, toServer bool) (allowed int, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !toServer || p.cutAfter < 0 {
		return n, false
	}
	if int64(n) < p.cutAfter {
		p.cutAfter -= int64(n)
		return n, false
	}
	allowed, p.cutAfter = int(p.cutAfter), -1
	return allowed, true
}
