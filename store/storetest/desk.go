package storetest

import (
	"context"
	"reflect"
	"slices"
	"testing"
	"time"

	"ticketgate/store"
)

// furnish makes a desk with two channels, two statuses, an account and three
// agents: anna works on support, otto looks in, root is an admin.
func furnish(t *testing.T, db *store.DB) {
	t.Helper()
	addAgent(t, db, "anna", store.RoleAgent)
	addAgent(t, db, "otto", store.RoleAgent)
	addAgent(t, db, "root", store.RoleAdmin)
	days := 30
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		for _, c := range []store.Channel{
			{ID: "support", Name: "Support", Active: true, ReopenDays: &days, DefaultStatusID: "new", Statuses: []string{"new"},
				Acknowledge: store.Acknowledge{Enabled: true, TemplateID: "hello"}},
			{ID: "sales", Name: "Sales"},
		} {
			if err := tx.PutChannel(ctx, c); err != nil {
				return err
			}
		}
		for _, s := range []store.Status{
			{ID: "new", Name: "New", Responsibility: "us", Position: 2},
			{ID: "done", Name: "Done", Responsibility: "none", Closed: true, Position: 1},
		} {
			if err := tx.PutStatus(ctx, s); err != nil {
				return err
			}
		}
		if err := tx.PutTemplate(ctx, store.Template{ID: "hello", Name: "Hello", Text: "Hello"}); err != nil {
			return err
		}
		if err := tx.PutMarker(ctx, store.Marker{ID: "red", Name: "Red", Colour: "#ff0000"}); err != nil {
			return err
		}
		if err := tx.PutAccount(ctx, account()); err != nil {
			return err
		}
		for _, s := range []store.Subscription{
			{ChannelID: "support", AgentID: "anna", Type: store.SubscriptionStandard},
			{ChannelID: "support", AgentID: "otto", Type: store.SubscriptionInformal},
		} {
			if err := tx.PutSubscription(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
}

func account() store.MailAccount {
	return store.MailAccount{ID: "mail", Name: "Support", Type: store.AccountTicket, Address: "Support@desk.example",
		Key: "support@desk.example", Aliases: []string{"Help@desk.example"}, AliasKeys: []string{"help@desk.example"},
		DefaultChannelID: "support", Active: true, CreatedAt: noon(0)}
}

func testDesk(t *testing.T, open Open) {
	db := one(t, open)
	furnish(t, db)
	desk, err := db.Desk(t.Context())
	must(t, err)
	if again, err := db.Desk(t.Context()); again != desk || err != nil {
		t.Errorf("the snapshot was read anew though nothing had changed: %v", err)
	}
	if c := desk.Channel("support"); c == nil || *c.ReopenDays != 30 || !c.Acknowledge.Enabled || desk.ChannelByName("Support") != c {
		t.Errorf("channel %+v", c)
	}
	if desk.Statuses[0].ID != "done" || !desk.Status("done").Closed || desk.StatusByName("New").ID != "new" {
		t.Errorf("statuses %+v", desk.Statuses)
	}
	for _, a := range []*store.MailAccount{desk.Account("mail"), desk.AccountByKey("support@desk.example"), desk.AccountByKey("help@desk.example")} {
		if a == nil || !reflect.DeepEqual(*a, account()) {
			t.Errorf("account %+v", a)
		}
	}
	if h := desk.Template("hello"); h == nil || h != desk.TemplateByName("Hello") || !h.Offered("sales") {
		t.Errorf("template %+v", h)
	}
	if m := desk.Marker("red"); m == nil || m.Name != "Red" || m.Colour != "#ff0000" || desk.Marker("blue") != nil {
		t.Errorf("marker %+v", m)
	}
	if a := desk.AgentByKey("anna@desk.example"); a == nil || a != desk.Agent("anna") || a.Email != "anna@desk.example" {
		t.Errorf("agent %+v", a)
	}
	if desk.Channel("x") != nil || desk.Status("x") != nil || desk.Account("x") != nil || desk.Agent("x") != nil ||
		desk.AccountByKey("x") != nil || desk.AgentByKey("x") != nil || desk.Subscription("x", "anna") != "" {
		t.Error("something that is not there was found")
	}
	if s := desk.Subscribers("support", store.SubscriptionStandard); len(s) != 1 || s[0].ID != "anna" {
		t.Errorf("subscribers %v", s)
	}
	for agent, want := range map[string][]string{"anna": {"support"}, "otto": {"support"}, "root": {"sales", "support"}, "x": nil} {
		if got := desk.VisibleChannels(agent); !slices.Equal(got, want) {
			t.Errorf("%s sees %v, want %v", agent, got, want)
		}
	}
	testDeskTimes(t, db, desk.Version)

	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.DeleteSubscription(ctx, "support", "otto"); err != nil {
			return err
		}
		inside, err := tx.Desk(ctx)
		if inside.Sees("otto", "support") {
			t.Error("a transaction does not see its own change")
		}
		return err
	})
	if desk.Subscription("support", "otto") == "" {
		t.Error("a snapshot was changed")
	}
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.DeleteSubscription(ctx, "support", "otto")
	}), store.CodeNotFound, "")
}

// testDeskTimes checks what stands beside the snapshot.
func testDeskTimes(t *testing.T, db *store.DB, version int64) {
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		return tx.TouchAccount(ctx, "mail", noon(5), time.Time{})
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		return tx.TouchAccount(ctx, "mail", noon(4), noon(6))
	})
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		times, err := tx.AccountTimes(ctx)
		if want := (store.AccountTimes{Received: noon(5), Sent: noon(6)}); times["mail"] != want {
			t.Errorf("times %+v", times)
		}
		if desk, err := tx.Desk(ctx); err != nil || desk.Version != version {
			t.Errorf("a mail made a new version of the desk: %v", err)
		}
		return err
	})
	for _, password := range []string{"hash", ""} {
		update(t, db, func(ctx context.Context, tx *store.Tx) error {
			return tx.PutAgent(ctx, store.Agent{ID: "anna", Name: "Anna", Email: "anna@desk.example", Key: "anna@desk.example",
				Role: store.RoleAgent, Active: true, Password: password})
		})
	}
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		if got, err := tx.AgentPassword(ctx, "anna"); got != "hash" || err != nil {
			t.Errorf("password %q, %v", got, err)
		}
		_, err := tx.AgentPassword(ctx, "nobody")
		wantCode(t, err, store.CodeNotFound, "")
		return nil
	})
}

func testDeskConflicts(t *testing.T, open Open) {
	db := one(t, open)
	furnish(t, db)
	other := account()
	other.ID, other.Key, other.AliasKeys = "other", "other@desk.example", []string{"support@desk.example"}
	for name, fn := range map[string]txFunc{
		"channel": func(ctx context.Context, tx *store.Tx) error {
			return tx.PutChannel(ctx, store.Channel{ID: "c2", Name: "Support"})
		},
		"status": func(ctx context.Context, tx *store.Tx) error {
			return tx.PutStatus(ctx, store.Status{ID: "s2", Name: "New"})
		},
		"marker": func(ctx context.Context, tx *store.Tx) error {
			return tx.PutMarker(ctx, store.Marker{ID: "m2", Name: "Red"})
		},
		"account": func(ctx context.Context, tx *store.Tx) error { return tx.PutAccount(ctx, other) },
		"agent": func(ctx context.Context, tx *store.Tx) error {
			return tx.PutAgent(ctx, store.Agent{ID: "a2", Key: "anna@desk.example"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			before, err := db.Desk(t.Context())
			must(t, err)
			wantCode(t, db.Update(t.Context(), fn), store.CodeConflict, store.ReasonDuplicate)
			if after, err := db.Desk(t.Context()); err != nil || after.Version != before.Version {
				t.Errorf("a change that failed made a new version: %v", err)
			}
		})
	}
	// An account may keep its own addresses.
	again := account()
	again.AliasKeys = append(again.AliasKeys, "third@desk.example")
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.PutAccount(ctx, again) })
}

func testDeskInUse(t *testing.T, open Open) {
	db := one(t, open)
	furnish(t, db)
	addTicket(t, db, func(ticket *store.Ticket) {
		ticket.ChannelID, ticket.StatusID, ticket.OwnerID, ticket.MarkerID = "sales", "done", "anna", "red"
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		return tx.PutMarker(ctx, store.Marker{ID: "blue", Name: "Blue", Colour: "#0000ff"})
	})
	type del func(*store.Tx, context.Context, string) error
	cases := []struct {
		name string
		del  del
		id   string
		free bool
	}{
		{"channel of an account", (*store.Tx).DeleteChannel, "support", false},
		{"channel of a ticket", (*store.Tx).DeleteChannel, "sales", false},
		{"status of a channel", (*store.Tx).DeleteStatus, "new", false},
		{"status of a ticket", (*store.Tx).DeleteStatus, "done", false},
		{"template of a channel", (*store.Tx).DeleteTemplate, "hello", false},
		{"marker of a ticket", (*store.Tx).DeleteMarker, "red", false},
		{"marker", (*store.Tx).DeleteMarker, "blue", true},
		{"agent of a ticket", (*store.Tx).DeleteAgent, "anna", false},
		{"agent", (*store.Tx).DeleteAgent, "otto", true},
		{"account", (*store.Tx).DeleteAccount, "mail", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			fn := func(ctx context.Context, tx *store.Tx) error { return c.del(tx, ctx, c.id) }
			if !c.free {
				wantCode(t, db.Update(t.Context(), fn), store.CodeConflict, store.ReasonInUse)
				return
			}
			update(t, db, fn)
			wantCode(t, db.Update(t.Context(), fn), store.CodeNotFound, "")
		})
	}
	// With the account its address is free again, and the channel is.
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.DeleteChannel(ctx, "support"); err != nil {
			return err
		}
		a := account()
		a.ID = "new"
		return tx.PutAccount(ctx, a)
	})
}

func testDeskHandles(t *testing.T, open Open) {
	handle := open(t, store.Options{})
	a, b := handle(), handle()
	furnish(t, a)
	desk, err := b.Desk(t.Context())
	must(t, err)
	update(t, a, func(ctx context.Context, tx *store.Tx) error {
		return tx.PutChannel(ctx, store.Channel{ID: "third", Name: "Third"})
	})
	now, err := b.Desk(t.Context())
	must(t, err)
	if now.Channel("third") == nil || desk.Channel("third") != nil {
		t.Error("the other handle does not see the change, or its old snapshot does")
	}
	if now, err = a.RecentDesk(t.Context()); err != nil || now.Channel("third") == nil {
		t.Errorf("its own change is not seen at once: %v", err)
	}
	update(t, a, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteChannel(ctx, "third") })
	if now, err = a.RecentDesk(t.Context()); err != nil || now.Channel("third") != nil {
		t.Errorf("its own change is not seen at once: %v", err)
	}
	for end := time.Now().Add(time.Second); ; {
		now, err = b.RecentDesk(t.Context())
		must(t, err)
		if now.Channel("third") == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the other handle does not see the change within a second")
		}
	}
}

func testTokens(t *testing.T, open Open) {
	db := one(t, open)
	token := store.Token{ID: "t1", Name: "CI", AgentID: "anna", Hash: "h1", Scopes: []string{"web"}, CreatedAt: noon(0), ExpiresAt: noon(50)}
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.PutToken(ctx, token); err != nil {
			return err
		}
		if err := tx.PutToken(ctx, store.Token{ID: "t2", AgentID: "otto", Hash: "h2"}); err != nil {
			return err
		}
		return tx.TouchToken(ctx, "t1", noon(3))
	})
	token.LastUsedAt = noon(3)
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		got, err := tx.TokenByHash(ctx, "h1")
		if !reflect.DeepEqual(got, token) || err != nil {
			t.Errorf("token %+v, %v", got, err)
		}
		_, err = tx.TokenByHash(ctx, "h3")
		wantCode(t, err, store.CodeNotFound, "")
		for agent, want := range map[string]int{"": 2, "otto": 1, "nobody": 0} {
			if all, err := tx.Tokens(ctx, agent); len(all) != want || err != nil {
				t.Errorf("tokens of %q: %v, %v", agent, all, err)
			}
		}
		return nil
	})
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteToken(ctx, "t1") })
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.DeleteToken(ctx, "t1") }),
		store.CodeNotFound, "")
	wantCode(t, db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		return tx.PutToken(ctx, store.Token{ID: "t3", Hash: "h2"})
	}), store.CodeConflict, store.ReasonDuplicate)
}
