package groupcommit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/orderport/orderport/host/internal/delivery/groupcommit"
)

var errFenced = errors.New("fenced")

// database is what the tests commit to. Each commit takes a second of the
// bubble's time.
type database struct {
	mu        sync.Mutex
	batches   [][]int
	committed map[int]int
	// fail is asked before a batch is applied; lose after.
	fail, lose func(batch []int) error
	verdict    func(item int) error
}

func (d *database) commit(ctx context.Context, items []int) ([]error, error) {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.batches = append(d.batches, slices.Sorted(slices.Values(items)))
	if d.fail != nil {
		if err := d.fail(items); err != nil {
			return nil, err
		}
	}
	if d.committed == nil {
		d.committed = make(map[int]int)
	}
	errs := make([]error, len(items))
	for i, item := range items {
		d.committed[item]++
		if d.verdict != nil {
			errs[i] = d.verdict(item)
		}
	}
	if d.lose != nil {
		if err := d.lose(items); err != nil {
			return nil, err
		}
	}
	return errs, nil
}

// all commits the items from as many goroutines and returns their verdicts.
func all(ctx context.Context, c *groupcommit.Committer[int], items ...int) map[int]error {
	var mu sync.Mutex
	verdicts := make(map[int]error)
	var group sync.WaitGroup
	for _, item := range items {
		group.Go(func() {
			err := c.Do(ctx, item)
			mu.Lock()
			defer mu.Unlock()
			verdicts[item] = err
		})
	}
	group.Wait()
	return verdicts
}

func TestAnItemThatComesAloneIsCommittedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &database{}
		c := groupcommit.New(groupcommit.Options[int]{Commit: d.commit})
		began := time.Now()
		if err := c.Do(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("it took %v, want the second that a commit takes", took)
		}
	})
}

func TestWhatComesDuringACommitIsTheNextBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &database{}
		c := groupcommit.New(groupcommit.Options[int]{Commit: d.commit, MaxBatch: 3})
		go func() { _ = c.Do(t.Context(), 0) }()
		synctest.Wait()
		for item, err := range all(t.Context(), c, 1, 2, 3, 4) {
			if err != nil {
				t.Errorf("item %d: %v", item, err)
			}
		}
		var sizes []int
		for _, batch := range d.batches {
			sizes = append(sizes, len(batch))
		}
		if diff := cmp.Diff([]int{1, 3, 1}, sizes); diff != "" {
			t.Errorf("batch sizes (-want +got):\n%s", diff)
		}
	})
}

func TestEachItemGetsItsOwnVerdict(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &database{verdict: func(item int) error {
			if item%2 == 0 {
				return errFenced
			}
			return nil
		}}
		c := groupcommit.New(groupcommit.Options[int]{Commit: d.commit})
		for item, err := range all(t.Context(), c, 1, 2, 3, 4) {
			if want := item%2 == 0; errors.Is(err, errFenced) != want {
				t.Errorf("item %d: verdict %v", item, err)
			}
		}
	})
}

func TestADatabaseThatIsAwayForAWhileFailsNobody(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]func(d *database, away func([]int) error){
		"failed, not applied": func(d *database, away func([]int) error) { d.fail = away },
		"failed, but applied": func(d *database, away func([]int) error) { d.lose = away },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				back := time.Now().Add(30 * time.Second)
				d := &database{}
				outage(d, func([]int) error {
					if time.Now().Before(back) {
						return errors.New("the database is away")
					}
					return nil
				})
				c := groupcommit.New(groupcommit.Options[int]{Commit: d.commit})
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				var items []int
				for i := range 50 {
					items = append(items, i)
				}
				for item, err := range all(ctx, c, items...) {
					if err != nil {
						t.Errorf("item %d: %v", item, err)
					}
					if d.committed[item] == 0 {
						t.Errorf("item %d was told to be committed and is not", item)
					}
				}
			})
		})
	}
}

func TestAPoisonedItemFailsAloneAndItsNeighboursDoNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &database{fail: func(batch []int) error {
			if slices.Contains(batch, 7) {
				return errors.New("the database can't take this")
			}
			return nil
		}}
		c := groupcommit.New(groupcommit.Options[int]{Commit: d.commit})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		for item, err := range all(ctx, c, 1, 2, 3, 7, 8, 9) {
			switch {
			case item == 7 && !errors.Is(err, context.DeadlineExceeded):
				t.Errorf("the poisoned item: %v", err)
			case item != 7 && err != nil:
				t.Errorf("item %d: %v", item, err)
			}
		}
		if d.committed[7] != 0 {
			t.Error("the poisoned item was committed")
		}
	})
}

func TestALaterItemDoesNotWaitForAPoisonedOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &database{fail: func(batch []int) error {
			if slices.Contains(batch, 7) {
				return errors.New("the database can't take this")
			}
			return nil
		}}
		c := groupcommit.New(groupcommit.Options[int]{Commit: d.commit})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		go func() { _ = c.Do(ctx, 7) }()
		<-time.After(10 * time.Second) // by now it goes alone
		began := time.Now()
		if err := c.Do(ctx, 8); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v, want one commit", took)
		}
		cancel()
	})
}

func TestACallerThatGivesUpIsToldSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &database{}
		c := groupcommit.New(groupcommit.Options[int]{Commit: d.commit})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := c.Do(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("verdict %v, want the context's error", err)
		}
		<-time.After(5 * time.Second) // the commit under way ends
	})
}

func TestNothingLivesOnWhenThereIsNothingToCommit(t *testing.T) {
	t.Parallel()
	// The bubble itself fails the test if a goroutine is left.
	synctest.Test(t, func(t *testing.T) {
		c := groupcommit.New(groupcommit.Options[string]{Commit: func(_ context.Context, items []string) ([]error, error) {
			return make([]error, len(items)), nil
		}})
		for i := range 100 {
			if err := c.Do(t.Context(), fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
	})
}
