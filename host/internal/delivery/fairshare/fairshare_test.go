package fairshare_test

import (
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/orderport/orderport/host/internal/delivery/fairshare"
)

func silent() {}

func TestNobodyTakesAllThatIsLeft(t *testing.T) {
	t.Parallel()
	p := fairshare.New(16, 0)
	a, b, c := p.Join(silent), p.Join(silent), p.Join(silent)
	for i, take := range []struct {
		share *fairshare.Share
		want  int
	}{{a, 12}, {b, 3}, {c, 1}} {
		if got := take.share.Take(100); got != take.want {
			t.Errorf("taker %d got %d slots, want %d", i, got, take.want)
		}
	}
}

func TestASingleSlotCanBeTaken(t *testing.T) {
	t.Parallel()
	if got := fairshare.New(1, 0).Join(silent).Take(5); got != 1 {
		t.Errorf("got %d, want 1", got)
	}
}

func TestTheReserveIsThereWhenThePoolIsExhausted(t *testing.T) {
	t.Parallel()
	p := fairshare.New(4, 2)
	for range 10 {
		p.Join(silent).Take(4)
	}
	if got := p.Join(silent).Take(4); got != 2 {
		t.Errorf("a newcomer got %d, want its reserve of 2", got)
	}
}

func TestWhileSomebodyWaitsTheRichGetNoMoreThanTheirPart(t *testing.T) {
	t.Parallel()
	p := fairshare.New(8, 0)
	rich, poor := p.Join(silent), p.Join(silent)
	rich.Take(8) // 6
	poor.Take(8) // 1, and waits
	rich.Give(2) // 4 are left
	if got := rich.Take(2); got != 0 {
		t.Errorf("the rich got %d more, want 0: half of the pool is theirs already", got)
	}
	if got := poor.Take(8); got != 2 {
		t.Errorf("the poor got %d, want 2", got)
	}
}

func TestThePoorestIsToldFirst(t *testing.T) {
	t.Parallel()
	p := fairshare.New(8, 0)
	var told []string
	join := func(name string) *fairshare.Share { return p.Join(func() { told = append(told, name) }) }
	a, b, c := join("a"), join("b"), join("c")
	a.Take(8) // 6
	b.Take(8) // 1, waits
	c.Take(8) // 1, waits
	d := join("d")
	d.Take(1) // 0, waits
	a.Give(1)
	if len(told) != 1 || told[0] != "d" {
		t.Errorf("told %q, want d, who has nothing", told)
	}
}

func TestWhoLeavesTheLineLetsTheNextOneTry(t *testing.T) {
	t.Parallel()
	p := fairshare.New(2, 0)
	told := 0
	a, b, c, d := p.Join(silent), p.Join(silent), p.Join(func() { told++ }), p.Join(silent)
	for _, s := range []*fairshare.Share{a, b, c, d} {
		s.Take(1)
	}
	d.Quit()
	if told != 1 {
		t.Errorf("the next one was told %d times, want once", told)
	}
}

func TestSlotsAreNeverLostOrMadeUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.IntRange(1, 20).Draw(t, "capacity")
		reserve := rapid.IntRange(0, 3).Draw(t, "reserve")
		p := fairshare.New(capacity, reserve)
		shares := make([]*fairshare.Share, 4)
		held := make([]int, len(shares))
		for i := range shares {
			shares[i] = p.Join(silent)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			i := rapid.IntRange(0, len(shares)-1).Draw(t, "who")
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				want := rapid.IntRange(1, 30).Draw(t, "want")
				got := shares[i].Take(want)
				if got < 0 || got > want {
					t.Fatalf("wanted %d, got %d", want, got)
				}
				held[i] += got
			case 1:
				n := rapid.IntRange(0, held[i]).Draw(t, "give")
				shares[i].Give(n)
				held[i] -= n
			case 2:
				shares[i].Quit()
			}
			total := 0
			for _, n := range held {
				total += n
			}
			if p.Held() != total {
				t.Fatalf("the pool counts %d, the takers hold %d", p.Held(), total)
			}
			if limit := max(capacity, 1) + reserve*len(shares); total > limit {
				t.Fatalf("%d slots are out, more than %d", total, limit)
			}
		}
	})
}

func TestEverybodyComesToAnEndWhenManyShareLittle(t *testing.T) {
	t.Parallel()
	p := fairshare.New(3, 0)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			called := make(chan struct{}, 1)
			s := p.Join(func() {
				select {
				case called <- struct{}{}:
				default:
				}
			})
			for left := 50; left > 0; {
				n := s.Take(left)
				if n == 0 {
					<-called
					continue
				}
				left -= n
				s.Give(n)
			}
			s.Quit()
		})
	}
	group.Wait()
	if p.Held() != 0 {
		t.Errorf("%d slots are still out", p.Held())
	}
}
