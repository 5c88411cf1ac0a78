package storetest

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ticketgate/store"
)

// crowded is a desk of some tickets as a model knows it.
type crowded struct {
	tickets    []store.Ticket
	activities []store.Activity
}

// watcher is who is asked for, beside an admin.
const watcher = "anna"

// testEveryWay compares lists with a model of them, however little effort a
// list makes before it is read in another way.
func testEveryWay(t *testing.T, open Open) {
	for name, effort := range map[string]store.Effort{
		"default":    store.DefaultEffort(),
		"walks":      {Walk: 1000, Block: 1},
		"gives up":   {Few: 2, Gather: 20, Walk: 3, Found: 3, Activities: 3, Block: 2},
		"gathers":    {Few: 1000, Gather: 1000, Walk: 1, Seen: 1000, Found: 1000, Activities: 1000, Block: 100},
		"walks long": {Walk: 1, Block: 7},
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, store.Options{Effort: &effort})()
			addCrowdsDesk(t, db)
			c := &crowded{}
			update(t, db, func(ctx context.Context, tx *store.Tx) error { return c.fill(ctx, tx, rand.New(rand.NewPCG(1, 1))) })
			view(t, db, c.read)
			r := rand.New(rand.NewPCG(2, 2))
			for range 200 {
				c.compareTickets(t, db, r)
				c.compareActivities(t, db, r)
			}
		})
	}
}

// addCrowdsDesk has the watcher see two of three channels, one of them as standard.
func addCrowdsDesk(t *testing.T, db *store.DB) {
	t.Helper()
	addAgent(t, db, watcher, store.RoleAgent)
	addAgent(t, db, "boss", store.RoleAdmin)
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		for _, id := range []string{"a", "b", "c"} {
			if err := tx.PutChannel(ctx, store.Channel{ID: id, Name: id, DefaultStatusID: "s0"}); err != nil {
				return err
			}
		}
		if err := tx.PutSubscription(ctx, store.Subscription{ChannelID: "a", AgentID: watcher, Type: store.SubscriptionStandard}); err != nil {
			return err
		}
		return tx.PutSubscription(ctx, store.Subscription{ChannelID: "b", AgentID: watcher, Type: store.SubscriptionInformal})
	})
}

func draw[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// fill makes the tickets, with an activity or more each, and moves some.
func (c *crowded) fill(ctx context.Context, tx *store.Tx, r *rand.Rand) error {
	var moving []store.Activity
	for range 100 {
		number, err := tx.NextNumber(ctx)
		if err != nil {
			return err
		}
		ticket := store.Ticket{Number: number, ID: store.NewID(), Kind: draw(r, store.KindEmail, store.KindEmail, store.KindEnquiry),
			ChannelID: draw(r, "a", "b", "b", "c"), StatusID: draw(r, "s0", "s1"), MarkerID: draw(r, "", "", "red"), Version: 1,
			Priority: draw(r, store.PriorityNormal, store.PriorityUrgent), OwnerID: draw(r, "", watcher, "otto"), ContactID: draw(r, "", "c1", "c2"),
			ResponsibleID: draw(r, "", "", watcher), CreatedAt: noon(r.IntN(30)), UpdatedAt: noon(r.IntN(40)), LastIncomingAt: noon(r.IntN(9))}
		if r.IntN(2) == 0 {
			ticket.ClosedAt = noon(50)
		}
		if r.IntN(3) == 0 {
			ticket.Tags = []string{draw(r, "blue", "green"), "sea"}
		}
		if err := tx.InsertTicket(ctx, ticket); err != nil {
			return err
		}
		if r.IntN(8) == 0 {
			if _, err := tx.AddWatcher(ctx, number, watcher); err != nil {
				return err
			}
		}
		some, err := c.talk(ctx, tx, r, number)
		if err != nil {
			return err
		}
		if moving = append(moving, some...); r.IntN(10) > 0 {
			continue
		}
		if _, err := tx.MoveActivity(ctx, draw(r, moving...).ID, 10001+r.Int64N(number-10000), noon(60)); err != nil {
			return err
		}
	}
	return nil
}

// talk adds some activities to a ticket; their texts are of three words, of
// which each is rarer than the one before.
func (c *crowded) talk(ctx context.Context, tx *store.Tx, r *rand.Rand, ticket int64) ([]store.Activity, error) {
	var all []store.Activity
	for range 1 + r.IntN(3) {
		text := "hello"
		if r.IntN(3) == 0 {
			text += " printer"
		}
		if r.IntN(20) == 0 {
			text += " fire"
		}
		from := draw(r, "carla@one.example", "otto@two.example")
		a := store.Activity{ID: store.NewID(), Ticket: ticket, Type: store.TypeIncoming, Medium: store.MediumEmail, Text: text,
			CreatedAt: noon(r.IntN(20)), Sender: store.SenderParticipant, ActivityDetail: store.ActivityDetail{From: []store.Address{{Address: from}}}}
		if err := tx.InsertActivity(ctx, &a); err != nil {
			return nil, err
		}
		if err := tx.Index(ctx, store.SearchEntry{ActivityID: a.ID, Text: text, Addresses: []string{from}}); err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// read takes what the store has, without its lists.
func (c *crowded) read(ctx context.Context, tx *store.Tx) error {
	for number := int64(10001); number <= 10100; number++ {
		ticket, err := tx.Ticket(ctx, number)
		if err != nil {
			return err
		}
		c.tickets = append(c.tickets, ticket)
		of, _, err := tx.Activities(ctx, number, "", 200)
		if err != nil {
			return err
		}
		c.activities = append(c.activities, of...)
	}
	return nil
}

func said(a store.Activity) string { return a.Text + " " + a.From[0].Address }

// holds tells whether each word of a query occurs in one activity of a ticket.
func (c *crowded) holds(number int64, query string) bool {
	return slices.ContainsFunc(c.activities, func(a store.Activity) bool { return a.Ticket == number && matches(a, query) })
}

func matches(a store.Activity, query string) bool {
	return !slices.ContainsFunc(strings.Fields(query), func(word string) bool { return !strings.Contains(said(a), word) })
}

// ask draws a filter, and what the model says that it chooses.
func (c *crowded) ask(r *rand.Rand, watched map[int64]bool) (store.TicketFilter, func(store.Ticket) bool) {
	f := store.TicketFilter{VisibleTo: draw(r, "", watcher, watcher, "boss"), List: draw(r, "", store.ListMy), Query: draw(r, "", "", "hello", "printer", "fire", "printer fire", "carla@one.example"),
		Sort: draw(r, "number", "-number", "created_at", "-updated_at", "updated_at", "last_incoming_at", "-priority", "respond_by")}
	fits := []func(store.Ticket) bool{func(t store.Ticket) bool { return f.VisibleTo != watcher || t.ChannelID != "c" }}
	also := func(set func(), fit func(store.Ticket) bool) {
		if r.IntN(4) == 0 {
			set()
			fits = append(fits, fit)
		}
	}
	if f.List == store.ListMy && f.VisibleTo != "" {
		fits = append(fits, func(t store.Ticket) bool {
			me := f.VisibleTo
			return t.OwnerID == me || t.ResponsibleID == me || me == watcher && (t.ChannelID == "a" || watched[t.Number])
		})
	}
	if f.Query != "" {
		fits = append(fits, func(t store.Ticket) bool { return c.holds(t.Number, f.Query) })
	}
	yes := true
	also(func() { f.ChannelID = "b" }, func(t store.Ticket) bool { return t.ChannelID == "b" })
	also(func() { f.StatusID = "s1" }, func(t store.Ticket) bool { return t.StatusID == "s1" })
	also(func() { f.OwnerID = store.NoOwner }, func(t store.Ticket) bool { return t.OwnerID == "" })
	also(func() { f.MarkerID = "red" }, func(t store.Ticket) bool { return t.MarkerID == "red" })
	also(func() { f.Open = &yes }, func(t store.Ticket) bool { return t.ClosedAt.IsZero() })
	also(func() { f.Priority = store.PriorityUrgent }, func(t store.Ticket) bool { return t.Priority == store.PriorityUrgent })
	also(func() { f.Kind = store.KindEnquiry }, func(t store.Ticket) bool { return t.Kind == store.KindEnquiry })
	also(func() { f.Tag = "blue" }, func(t store.Ticket) bool { return slices.Contains(t.Tags, "blue") })
	also(func() { f.WatcherID = watcher }, func(t store.Ticket) bool { return watched[t.Number] })
	also(func() { f.ContactID = "c1" }, func(t store.Ticket) bool { return t.ContactID == "c1" })
	also(func() { f.UpdatedSince = noon(20) }, func(t store.Ticket) bool { return !t.UpdatedAt.Before(noon(20)) })
	return f, func(t store.Ticket) bool {
		return !slices.ContainsFunc(fits, func(fit func(store.Ticket) bool) bool { return !fit(t) })
	}
}

// inOrder sorts as the filter says, by the number where that ties.
func inOrder(sort string) func(a, b store.Ticket) int {
	rank := map[store.Priority]int{store.PriorityNormal: 1, store.PriorityUrgent: 3}
	return func(a, b store.Ticket) int {
		n := 0
		switch strings.TrimPrefix(sort, "-") {
		case "created_at":
			n = a.CreatedAt.Compare(b.CreatedAt)
		case "updated_at":
			n = a.UpdatedAt.Compare(b.UpdatedAt)
		case "last_incoming_at":
			n = a.LastIncomingAt.Compare(b.LastIncomingAt)
		case "priority":
			n = rank[a.Priority] - rank[b.Priority]
		}
		if n = cmp.Or(n, cmp.Compare(a.Number, b.Number)); strings.HasPrefix(sort, "-") {
			n = -n
		}
		return n
	}
}

func (c *crowded) compareTickets(t *testing.T, db *store.DB, r *rand.Rand) {
	t.Helper()
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		watchers, err := tx.Watchers(ctx, numbers(c.tickets)...)
		if err != nil {
			return err
		}
		watched := map[int64]bool{}
		for number, of := range watchers {
			watched[number] = len(of) > 0
		}
		f, fits := c.ask(r, watched)
		var want []store.Ticket
		for _, ticket := range c.tickets {
			if fits(ticket) {
				want = append(want, ticket)
			}
		}
		slices.SortFunc(want, inOrder(f.Sort))
		var got []int64
		f.Limit = 1 + r.IntN(30)
		for page := 0; page == 0 || f.Cursor != ""; page++ {
			some, next, err := tx.Tickets(ctx, f)
			if err != nil {
				return err
			}
			got, f.Cursor = append(got, numbers(some)...), next
		}
		if !slices.Equal(got, numbers(want)) {
			t.Errorf("%s:\n%v, want\n%v", describe(f), got, numbers(want))
		}
		return nil
	})
}

func describe(f store.TicketFilter) string {
	return strings.ReplaceAll(fmt.Sprintf("%+v", f), "0001-01-01 00:00:00 +0000 UTC", "-")
}

func (c *crowded) compareActivities(t *testing.T, db *store.DB, r *rand.Rand) {
	t.Helper()
	f := store.ActivityFilter{VisibleTo: draw(r, "", watcher, "boss"), Query: draw(r, "", "hello", "printer", "fire", "hello fire"),
		From: draw(r, "", "", "carla@one.example"), Limit: 1 + r.IntN(40)}
	if r.IntN(3) == 0 {
		f.Since = noon(10)
	}
	channels := map[int64]string{}
	for _, ticket := range c.tickets {
		channels[ticket.Number] = ticket.ChannelID
	}
	var want, got []string
	newest := slices.SortedFunc(slices.Values(c.activities), func(a, b store.Activity) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	for _, a := range newest {
		if (f.VisibleTo != watcher || channels[a.Ticket] != "c") && matches(a, f.Query) && (f.From == "" || a.From[0].Address == f.From) && !a.CreatedAt.Before(f.Since) {
			want = append(want, a.ID)
		}
	}
	view(t, db, func(ctx context.Context, tx *store.Tx) error {
		for page := 0; page == 0 || f.Cursor != ""; page++ {
			some, next, err := tx.FindActivities(ctx, f)
			if err != nil {
				return err
			}
			for _, a := range some {
				got = append(got, a.ID)
			}
			f.Cursor = next
		}
		return nil
	})
	if !slices.Equal(got, want) {
		t.Errorf("%+v:\n%v, want\n%v", f, got, want)
	}
}
