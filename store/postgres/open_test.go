package postgres_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
	"ticketgate/store/postgres"
)

// TestOpenAtOnce lets several nodes make the schema at the same time.
func TestOpenAtOnce(t *testing.T) {
	url := testbed.SharedPostgres(t).NewDatabase(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			db, err := postgres.Open(t.Context(), url, store.Options{})
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

func TestOpenNewerSchema(t *testing.T) {
	url := testbed.SharedPostgres(t).NewDatabase(t)
	open(t, url, store.Options{})
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.Open(t.Context(), url, store.Options{}); store.CodeOf(err) != store.CodeConflict {
		t.Errorf("a newer schema: %v", err)
	}
}

func TestOpenRefused(t *testing.T) {
	for _, url := range []string{"postgres://user:s3cret@127.0.0.1:1/db?connect_timeout=1", "postgres://user:s3cret@[::bad/db"} {
		_, err := postgres.Open(t.Context(), url, store.Options{})
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v", err)
		}
	}
}
