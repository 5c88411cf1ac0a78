package sqlite_test

import (
	"os"
	"path/filepath"
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
