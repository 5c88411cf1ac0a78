package storetest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ticketgate/store"
)

// login adds a session of an agent whose id is also its hash.
func login(t *testing.T, db *store.DB, id, agentID string) store.LoginSession {
	t.Helper()
	s := store.LoginSession{ID: id, Hash: "hash of " + id, AgentID: agentID, Way: store.WayPassword, Address: "192.0.2.1",
		Client: "Ünicode/1", CreatedAt: noon(0), LastUsedAt: noon(0), ExpiresAt: noon(50)}
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.AddSession(ctx, s) })
	return s
}

// sessions gives the ids of an agent's sessions.
func sessions(t *testing.T, db *store.DB, agentID string) []string {
	t.Helper()
	ids := []string{}
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.Sessions(ctx, agentID)
		for _, s := range all {
			ids = append(ids, s.ID)
		}
		return err
	})
	return ids
}

func testSessions(t *testing.T, open Open) {
	db := one(t, open)
	addAgent(t, db, "anna", store.RoleAgent)
	first := login(t, db, "s1", "anna")
	login(t, db, "s2", "anna")
	login(t, db, "s3", "otto")
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.TouchSession(ctx, "s1", noon(7)) })
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.TouchSession(ctx, "s1", noon(6)) })
	first.LastUsedAt = noon(7)
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		for name, get := range map[string]func() (store.LoginSession, error){
			"id":   func() (store.LoginSession, error) { return tx.Session(ctx, "s1") },
			"hash": func() (store.LoginSession, error) { return tx.SessionByHash(ctx, "hash of s1") },
		} {
			if got, err := get(); got != first || err != nil {
				t.Errorf("by %s: %+v, %v", name, got, err)
			}
		}
		_, err := tx.SessionByHash(ctx, "s1")
		wantCode(t, err, store.CodeNotFound, "")
		return nil
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteSession(ctx, "s2") })
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.DeleteSession(ctx, "s2") }),
		store.CodeNotFound, "")
	for _, c := range []struct {
		idle, now time.Time
		want      int
	}{{noon(-1), noon(49), 0}, {noon(1), noon(49), 1}, {noon(1), noon(50), 1}} {
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			n, err := tx.PruneSessions(ctx, c.idle, c.now)
			if n != c.want {
				t.Errorf("%d pruned, want %d", n, c.want)
			}
			return err
		})
	}
}

// testSessionsEnd holds what ends the sessions of an agent, all but one where
// he keeps it, the links that wait for him, and nobody else's.
func testSessionsEnd(t *testing.T, open Open) {
	anna := store.Agent{ID: "anna", Name: "anna", Email: "anna@desk.example", Key: "anna@desk.example", Role: store.RoleAgent, Active: true}
	for _, c := range []struct {
		name string
		do   txFunc
		want []string
	}{
		{"a password", func(ctx context.Context, tx *store.Tx) error { return tx.SetPassword(ctx, "anna", "new", "s2") }, []string{"s2"}},
		{"a password from a desk file", func(ctx context.Context, tx *store.Tx) error {
			changed := anna
			changed.Password = "new"
			return tx.PutAgent(ctx, changed)
		}, []string{}},
		{"switching off", func(ctx context.Context, tx *store.Tx) error {
			changed := anna
			changed.Active = false
			return tx.PutAgent(ctx, changed)
		}, []string{}},
		{"removal", func(ctx context.Context, tx *store.Tx) error { return tx.DeleteAgent(ctx, "anna") }, []string{}},
		{"another name ends nothing", func(ctx context.Context, tx *store.Tx) error {
			changed := anna
			changed.Name = "Anna"
			return tx.PutAgent(ctx, changed)
		}, []string{"s1", "s2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			db := one(t, open)
			addAgent(t, db, "anna", store.RoleAgent)
			login(t, db, "s1", "anna")
			login(t, db, "s2", "anna")
			login(t, db, "s3", "otto")
			update(t, db, func(ctx context.Context, tx *store.Tx) error {
				return tx.AddLoginLink(ctx, store.LoginLink{Hash: "h", AgentID: "anna", Kind: store.MailedLogin, ExpiresAt: noon(9)})
			})
			update(t, db, c.do)
			if got := sessions(t, db, "anna"); !slices.Equal(got, c.want) {
				t.Errorf("left are %v, want %v", got, c.want)
			}
			if got := sessions(t, db, "otto"); len(got) != 1 {
				t.Errorf("another's: %v", got)
			}
			ends := len(c.want) < 2
			view(t, db, func(ctx context.Context, tx *store.Tx) error {
				if _, err := tx.LoginLink(ctx, "h"); store.IsNotFound(err) != ends {
					t.Errorf("the link: %v", err)
				}
				events, err := tx.Events(ctx, store.EventPosition{}, 10)
				told := slices.ContainsFunc(events, func(e store.Event) bool {
					return e.Kind == store.EventAccessEnded && e.AgentID == "anna"
				})
				if told != ends {
					t.Errorf("open streams are told: %v", told)
				}
				return err
			})
		})
	}
}

func testPasswords(t *testing.T, open Open) {
	db := one(t, open)
	addAgent(t, db, "anna", store.RoleAgent)
	for _, c := range []struct {
		do   txFunc
		want string
	}{
		{func(ctx context.Context, tx *store.Tx) error { return tx.SetPassword(ctx, "anna", "one", "") }, "one"},
		{func(ctx context.Context, tx *store.Tx) error { return tx.RenewPassword(ctx, "anna", "other", "two") }, "one"},
		{func(ctx context.Context, tx *store.Tx) error { return tx.RenewPassword(ctx, "anna", "one", "two") }, "two"},
	} {
		update(t, db, c.do)
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			if got, err := tx.AgentPassword(ctx, "anna"); got != c.want || err != nil {
				t.Errorf("password %q, %v, want %q", got, err, c.want)
			}
			return nil
		})
	}
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.SetPassword(ctx, "nobody", "x", "")
	}), store.CodeNotFound, "")
}

func testLoginLinks(t *testing.T, open Open) {
	db := one(t, open)
	link := store.LoginLink{Hash: "h1", AgentID: "anna", Key: "anna@desk.example", Kind: store.MailedInvitation, CreatedAt: noon(0), ExpiresAt: noon(30)}
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.AddLoginLink(ctx, store.LoginLink{Hash: "h2", AgentID: "anna", ExpiresAt: noon(10)}); err != nil {
			return err
		}
		return tx.AddLoginLink(ctx, link)
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.PruneLoginLinks(ctx, noon(10))
		if n != 1 {
			t.Errorf("%d pruned", n)
		}
		return err
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.LoginLink(ctx, "h1")
		if got != link {
			t.Errorf("link %+v", got)
		}
		return err
	})
	use := func(ctx context.Context, tx *store.Tx) error { return tx.UseLoginLink(ctx, "h1") }
	update(t, db, use)
	wantCode(t, db.Update(t.Context(), use), store.CodeNotFound, "")
}

func testTOTP(t *testing.T, open Open) {
	db := one(t, open)
	want := store.TOTP{AgentID: "anna", Secret: []byte{0, 1, 255}, ConfirmedAt: noon(1), LastStep: 5}
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.PutTOTP(ctx, store.TOTP{AgentID: "anna", Secret: []byte{7}}); err != nil {
			return err
		}
		if err := tx.PutRecoveryCodes(ctx, "anna", []string{"old"}); err != nil {
			return err
		}
		return tx.PutRecoveryCodes(ctx, "anna", []string{"c1", "c2"})
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.PutTOTP(ctx, want) })
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		if all, err := tx.TOTPs(ctx); err != nil || !reflect.DeepEqual(all, []store.TOTP{want}) {
			t.Errorf("all: %+v, %v", all, err)
		}
		got, err := tx.TOTP(ctx, "anna")
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v", got)
		}
		return err
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		for _, c := range []struct {
			step int64
			want bool
		}{{5, false}, {7, true}, {7, false}, {6, false}, {8, true}} {
			if ok, err := tx.TakeTOTPStep(ctx, "anna", c.step); ok != c.want || err != nil {
				t.Errorf("step %d: %v, %v", c.step, ok, err)
			}
		}
		for _, c := range []struct {
			code string
			want bool
		}{{"old", false}, {"c1", true}, {"c1", false}} {
			if ok, err := tx.UseRecoveryCode(ctx, "anna", c.code); ok != c.want || err != nil {
				t.Errorf("code %s: %v, %v", c.code, ok, err)
			}
		}
		if left, err := tx.RecoveryCodes(ctx, "anna"); left != 1 || err != nil {
			t.Errorf("%d codes are left, %v", left, err)
		}
		return tx.DeleteTOTP(ctx, "anna")
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		left, err := tx.RecoveryCodes(ctx, "anna")
		if left != 0 {
			t.Errorf("%d codes outlive their factor", left)
		}
		return err
	})
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.DeleteTOTP(ctx, "anna") }),
		store.CodeNotFound, "")
}

// attempt takes an attempt of the key k at a minute after noon.
func attempt(t *testing.T, db *store.DB, minute int, a store.Allowance) (ok bool) {
	t.Helper()
	update(t, db, func(ctx context.Context, tx *store.Tx) (err error) {
		ok, err = tx.TakeAttempt(ctx, "k", noon(minute), a)
		return err
	})
	return ok
}

func testAttempts(t *testing.T, open Open) {
	db := one(t, open)
	three := store.Allowance{Burst: 3, Interval: 10 * time.Minute}
	for i, c := range []struct {
		minute int
		want   bool
	}{{0, true}, {0, true}, {1, true}, {1, false}, {9, false}, {10, true}, {11, false}, {200, true}, {200, true}, {200, true}, {200, false}} {
		if got := attempt(t, db, c.minute, three); got != c.want {
			t.Errorf("attempt %d at %d: %v", i, c.minute, got)
		}
	}
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.GiveAttempt(ctx, "k", three) })
	if !attempt(t, db, 200, three) || attempt(t, db, 200, three) {
		t.Error("giving one back gives one")
	}
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.GiveAttempts(ctx, "k") })
	if !attempt(t, db, 200, three) {
		t.Error("giving all back gives none")
	}
	for _, c := range []struct{ minute, want int }{{209, 0}, {210, 1}} {
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			n, err := tx.PruneAttempts(ctx, noon(c.minute))
			if n != c.want {
				t.Errorf("%d pruned at %d", n, c.minute)
			}
			return err
		})
	}
}

// testAttemptsOfTwoHandles tries at the same moment from two nodes.
func testAttemptsOfTwoHandles(t *testing.T, open Open) {
	handle := open(t, store.Options{})
	handles := []*store.DB{handle(), handle()}
	five := store.Allowance{Burst: 5, Interval: time.Hour}
	var granted atomic.Int64
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			ok := false
			err := handles[i%2].Update(t.Context(), func(ctx context.Context, tx *store.Tx) (err error) {
				ok, err = tx.TakeAttempt(ctx, "k", noon(0), five)
				return err
			})
			if err != nil {
				t.Error(err)
			}
			if ok {
				granted.Add(1)
			}
		})
	}
	wg.Wait()
	if n := granted.Load(); n != 5 {
		t.Errorf("%d attempts were granted, want 5", n)
	}
}

func testAudit(t *testing.T, open Open) {
	db := one(t, open)
	full := store.Audit{ID: "a1", At: noon(1), AgentID: "anna", Action: "patch-agent", Thing: "/agents/otto", AuditDetail: store.AuditDetail{
		Fields: []string{"role"}, Address: "192.0.2.1", Client: "c", Credential: "s1", RequestID: "r", Email: "e", Way: "w", Reason: "x"}}
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		for i, a := range []store.Audit{
			full,
			{ID: "a2", At: noon(2), AgentID: "anna", Action: "login", Thing: "/agents/anna"},
			{ID: "a3", At: noon(2), AgentID: "otto", Action: "login", Thing: "/agents/otto"},
			{ID: "a0", At: noon(3), Action: "login-failed"},
		} {
			if err := tx.AddAudit(ctx, a); err != nil {
				return fmt.Errorf("%d: %w", i, err)
			}
		}
		return nil
	})
	read := func(f store.AuditFilter) (ids []string, next string) {
		t.Helper()
		view(t, db, func(ctx context.Context, tx *store.Tx) error {
			all, cursor, err := tx.AuditLog(ctx, f)
			for _, a := range all {
				ids = append(ids, a.ID)
			}
			next = cursor
			return err
		})
		return ids, next
	}
	for _, c := range []struct {
		filter store.AuditFilter
		want   []string
	}{
		{store.AuditFilter{}, []string{"a0", "a3", "a2", "a1"}},
		{store.AuditFilter{AgentID: "anna"}, []string{"a2", "a1"}},
		{store.AuditFilter{AgentID: "anna", Action: "login"}, []string{"a2"}},
		{store.AuditFilter{Thing: "/agents/otto"}, []string{"a3", "a1"}},
		{store.AuditFilter{Since: noon(2), Until: noon(3)}, []string{"a3", "a2"}},
		{store.AuditFilter{Since: noon(4)}, nil},
	} {
		if got, _ := read(c.filter); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.filter, got, c.want)
		}
	}
	var paged []string
	for next := ""; ; {
		ids, cursor := read(store.AuditFilter{Limit: 1, Cursor: next})
		paged = append(paged, ids...)
		if next = cursor; next == "" {
			break
		}
	}
	if want := []string{"a0", "a3", "a2", "a1"}; !slices.Equal(paged, want) {
		t.Errorf("page by page: %v", paged)
	}
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		all, _, err := tx.AuditLog(ctx, store.AuditFilter{Action: "patch-agent"})
		if len(all) != 1 || !reflect.DeepEqual(all[0], full) {
			t.Errorf("the line: %+v", all)
		}
		_, _, broken := tx.AuditLog(ctx, store.AuditFilter{Cursor: "bm9uZQ"})
		wantCode(t, broken, store.CodeInvalid, "")
		return err
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.PruneAudit(ctx, noon(2))
		if n != 1 {
			t.Errorf("%d pruned", n)
		}
		return err
	})
}
