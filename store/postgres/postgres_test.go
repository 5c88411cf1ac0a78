package postgres_test

import (
	"testing"

	"go.uber.org/goleak"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
	"ticketgate/store/postgres"
	"ticketgate/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	server := testbed.SharedPostgres(t)
	storetest.Run(t, func(t *testing.T, opt store.Options) func() *store.DB {
		url := server.NewDatabase(t)
		return func() *store.DB { return open(t, url, opt) }
	})
}

// open opens a handle that is closed with the test.
func open(t testing.TB, url string, opt store.Options) *store.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), url, opt)
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
