package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/orderport/orderport/host/internal/fault"
	"github.com/orderport/orderport/host/internal/store"
)

func TestDatabaseURLsAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]store.DatabaseURL{
		"postgres://u:p@db.example:5432/orders":   {Kind: store.PostgreSQL, URL: "postgres://u:p@db.example:5432/orders"},
		"postgresql:///orders?host=/run/postgres": {Kind: store.PostgreSQL, URL: "postgresql:///orders?host=/run/postgres"},
		"sqlite:orderport.db":                     {Kind: store.SQLite, Path: "orderport.db"},
		"sqlite:./data/orderport.db":              {Kind: store.SQLite, Path: "./data/orderport.db"},
		"sqlite:/var/lib/orderport/orderport.db":  {Kind: store.SQLite, Path: "/var/lib/orderport/orderport.db"},
		"sqlite:///var/lib/orderport.db":          {Kind: store.SQLite, Path: "/var/lib/orderport.db"},
		"SQLite:100%.db":                          {Kind: store.SQLite, Path: "100%.db"},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			got, err := store.ParseDatabaseURL(text)
			if err != nil || got != want {
				t.Errorf("got %+v, %v; want %+v", got, err, want)
			}
		})
	}
}

func TestBadDatabaseURLsAreRefusedWithoutRepeatingThem(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "orderport.db", "mysql://u:hunter2@db/orders", "postgres:u:hunter2@db", "postgres://u:hunter2%zz@db/orders",
		"postgres://u:hun\x7fter2@db", "sqlite:", "sqlite::memory:", "sqlite:hunter2.db?mode=memory", "sqlite://hunter2.db",
	} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			t.Parallel()
			_, err := store.ParseDatabaseURL(text)
			f := fault.From(err)
			if f == nil || f.Code != "bad_database_url" || f.Hint == "" {
				t.Fatalf("got %v, want the fault bad_database_url with a hint", err)
			}
			if all := fmt.Sprintf("%v %+v %v", err, f, f.Hint); strings.Contains(all, "hunter2") {
				t.Errorf("the error repeats the address: %s", all)
			}
		})
	}
}

func TestADatabaseURLIsShownWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"postgres://u:hunter2@db:5432/orders":                      "postgres://u:xxxxx@db:5432/orders",
		"postgres://u@db/orders?password=hunter2":                  "postgres://u@db/orders",
		"postgres://db/orders?sslmode=disable&sslpassword=hunter2": "postgres://db/orders",
		"sqlite:orderport.db":                                      "sqlite:orderport.db",
	} {
		parsed, err := store.ParseDatabaseURL(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := parsed.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func FuzzParseDatabaseURL(f *testing.F) {
	f.Add("postgres://u:p@db/orders")
	f.Add("sqlite:orderport.db")
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := store.ParseDatabaseURL(text)
		if err != nil {
			return
		}
		if (parsed.Kind == store.SQLite) == (parsed.Path == "") {
			t.Errorf("%q gives %+v", text, parsed)
		}
		_ = parsed.String()
	})
}
