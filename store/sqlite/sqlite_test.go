package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"ticketgate/store"
	"ticketgate/store/sqlite"
	"ticketgate/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T, opt store.Options) func() *store.DB {
		folder := filepath.Join(t.TempDir(), "a folder?") // what a URI would trip over
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, "t#%41.db")
		return func() *store.DB { return open(t, path, opt) }
	})
}

// open opens a handle that is closed with the test.
func open(t testing.TB, path string, opt store.Options) *store.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	daemon := open(t, path, store.Options{Exclusive: true})
	if _, err := sqlite.Open(t.Context(), path, store.Options{Exclusive: true}); store.ReasonOf(err) != store.ReasonInUse {
		t.Errorf("a second daemon: %v", err)
	}
	open(t, path, store.Options{}) // a command
	if err := daemon.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, path, store.Options{Exclusive: true})
}

func TestOpenNewerSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	open(t, path, store.Options{})
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), path, store.Options{}); store.CodeOf(err) != store.CodeConflict {
		t.Errorf("a newer schema: %v", err)
	}
}

// TestOpenAtOnce lets a daemon and commands make the schema at the same time.
func TestOpenAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.db")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			db, err := sqlite.Open(t.Context(), path, store.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestOpenRefused(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "text"), []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"missing/t.db", "text", "."} {
		if _, err := sqlite.Open(t.Context(), filepath.Join(folder, name), store.Options{}); store.CodeOf(err) != store.CodeUnavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
}
