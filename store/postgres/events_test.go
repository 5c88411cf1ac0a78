package postgres_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
)

// hold runs a transaction that writes an event and stays open until it is told
// to end; the event is in the database, and not committed, when hold returns.
func hold(t *testing.T, db *store.DB, name string) (end func()) {
	t.Helper()
	wrote, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- db.Update(context.Background(), func(ctx context.Context, tx *store.Tx) error {
			if err := tx.AddEvent(ctx, store.Event{Kind: store.EventAgentNotice, AgentID: name}); err != nil {
				return err
			}
			if _, err := tx.Meta(ctx, "none"); err != nil { // sends what is queued
				return err
			}
			close(wrote)
			<-release
			return nil
		})
	}()
	<-wrote
	free := sync.OnceFunc(func() { close(release) })
	t.Cleanup(free) // a test that fails must not leave it open
	return func() {
		t.Helper()
		free()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

// Two transactions overlap, and the one whose event has the higher id ends
// first: a reader who follows sees both events, each once, in either case of
// which of the two transactions began first.
func TestEventsOfTransactionsThatEndInAnotherOrder(t *testing.T) {
	url := testbed.SharedPostgres(t).NewDatabase(t)
	first, second, reader := open(t, url, store.Options{}), open(t, url, store.Options{}), open(t, url, store.Options{})
	var at store.EventPosition
	var seen []string
	follow := func() []string {
		t.Helper()
		err := reader.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			found, err := tx.Events(ctx, at, 10)
			for _, e := range found {
				at = e.Position
				seen = append(seen, e.AgentID)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return seen
	}
	endFirst := hold(t, first, "first")
	endSecond := hold(t, second, "second")
	endSecond()
	if got := follow(); len(got) != 0 {
		t.Fatalf("with an older transaction open %v is seen", got)
	}
	endThird := hold(t, second, "third")
	endFirst()
	if got := follow(); len(got) != 2 || got[0] != "first" || got[1] != "second" {
		t.Fatalf("seen is %v", got)
	}
	endThird()
	if got := follow(); len(got) != 3 || got[2] != "third" {
		t.Fatalf("seen is %v", got)
	}
}

// A transaction may draw its number before another one, and its event's id
// after it.
func TestEventsWhoseIdsAreInAnotherOrderThanTheirTransactions(t *testing.T) {
	url := testbed.SharedPostgres(t).NewDatabase(t)
	db := open(t, url, store.Options{})
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	run := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	const insert = `INSERT INTO events (kind, ticket, activity_id, agent_id, data, at) VALUES ('agent.notice', 0, '', 'old', '{}', 1)`
	run(`BEGIN; SELECT pg_current_xact_id()`)
	end := hold(t, db, "young") // a younger transaction, a lower id
	run(insert + `; COMMIT`)
	var at store.EventPosition
	names := func() (names []string) {
		err := db.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			found, err := tx.Events(ctx, at, 10)
			for _, e := range found {
				at, names = e.Position, append(names, e.AgentID)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	if got := names(); len(got) != 1 || got[0] != "old" {
		t.Fatalf("seen is %v", got)
	}
	end()
	if got := names(); len(got) != 1 || got[0] != "young" {
		t.Fatalf("then %v", got)
	}
}

// A copy of a database keeps events of transactions that this server will run
// in years: they are removed, and nothing else.
func TestEventsOfAnotherServer(t *testing.T) {
	url := testbed.SharedPostgres(t).NewDatabase(t)
	db := open(t, url, store.Options{})
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), `INSERT INTO events (tx, kind, ticket, activity_id, agent_id, data, at)
		VALUES (1000000000000, 'agent.notice', 0, '', 'foreign', '{}', 1);
		INSERT INTO meta VALUES ('events_forgotten', '1000000000000-1')`); err != nil {
		t.Fatal(err)
	}
	end := hold(t, db, "one")
	end()
	err = db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		if err := tx.AddEvent(ctx, store.Event{Kind: store.EventAgentNotice, AgentID: "two"}); err != nil {
			return err
		}
		_, err := tx.PruneEvents(ctx, time.Time{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	rows, err := conn.Query(t.Context(), `SELECT agent_id FROM events ORDER BY tx, id`)
	if err != nil {
		t.Fatal(err)
	}
	if left, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || len(left) != 2 || left[0] != "one" || left[1] != "two" {
		t.Errorf("left are %v, %v", left, err)
	}
	err = db.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		known, missed, err := tx.MissedEvents(ctx, store.EventPosition{})
		if !known || missed {
			t.Errorf("known %v, missed %v", known, missed)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
