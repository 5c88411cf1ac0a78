package threading

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"ticketgate/store"
)

func TestNotices(t *testing.T) {
	table, err := os.ReadFile("testdata/notices.txt")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(table)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		parts := strings.Split(line, "|")
		if len(parts) != 3 {
			t.Fatalf("no row: %s", line)
		}
		rows++
		t.Run(line, func(t *testing.T) {
			desk, ticket, watchers := cast(t, strings.Fields(parts[1]))
			var told []string
			for _, n := range notices(desk, ticket, watchers, occasion(t, strings.Fields(parts[0]))) {
				told = append(told, n.agent.ID+" "+n.way+" "+n.reason)
			}
			if got, want := strings.Join(told, ", "), strings.TrimSpace(parts[2]); got != want {
				t.Errorf("told are %q, want %q", got, want)
			}
		})
	}
	if rows < 35 {
		t.Errorf("only %d rows", rows)
	}
}

// cast makes a desk of people with their roles. One whose only role is a word of
// none of them has no tie at all.
func cast(t *testing.T, people []string) (*store.Desk, store.Ticket, []string) {
	t.Helper()
	ticket := store.Ticket{Number: 10001, ChannelID: "here"}
	desk := &store.Desk{Channels: []store.Channel{{ID: "here"}, {ID: "elsewhere"}}}
	var watchers []string
	for _, person := range people {
		name, roles, _ := strings.Cut(person, "=")
		agent := store.Agent{ID: name, Active: true, Role: store.RoleAgent, Notify: map[string]string{}}
		gone := strings.HasSuffix(roles, ",gone")
		for role := range strings.SplitSeq(strings.TrimSuffix(roles, ",gone"), ",") {
			role, choice, _ := strings.Cut(role, ":")
			switch role {
			case roleOwner, roleResponsible, roleWatcher:
				if !gone {
					hold(&ticket, &watchers, role, name)
				}
			case "standard":
				desk.Subscriptions = append(desk.Subscriptions, store.Subscription{ChannelID: "here", AgentID: name, Type: role})
				role = roleSubscriber
			case "informal":
				desk.Subscriptions = append(desk.Subscriptions, store.Subscription{ChannelID: "here", AgentID: name, Type: role})
			case "admin":
				agent.Role = store.RoleAdmin
			case "off":
				agent.Active = false
			case "none":
			default:
				t.Fatalf("no role: %s", role)
			}
			if choice != "" {
				agent.Notify[role] = choice
			}
		}
		desk.Agents = append(desk.Agents, agent)
	}
	return desk, ticket, watchers
}

func hold(t *store.Ticket, watchers *[]string, role, name string) {
	switch role {
	case roleOwner:
		t.OwnerID = name
	case roleResponsible:
		t.ResponsibleID = name
	case roleWatcher:
		*watchers = append(*watchers, name)
	}
}

func occasion(t *testing.T, words []string) event {
	t.Helper()
	e := event{kind: eventKind(words[0])}
	for i := 1; i < len(words); i++ {
		name, role, gained := strings.Cut(words[i], ">")
		loser, lostRole, lost := strings.Cut(words[i], "<")
		switch {
		case words[i] == "by":
			i++
			e.actor = words[i]
		case words[i] == "reopened":
			e.reopened = true
		case words[i] == "moved":
			e.moved = true
		case gained:
			e.became = append(e.became, tie{name, role})
		case lost:
			e.lost = append(e.lost, tie{loser, lostRole})
		default:
			t.Fatalf("no event: %s", words[i])
		}
	}
	return e
}

func TestMentions(t *testing.T) {
	desk := &store.Desk{Agents: []store.Agent{
		{ID: "anna", Name: "Anna Meier", Key: "anna@desk.example", Active: true},
		{ID: "bob1", Name: "Bob", Key: "bob@desk.example", Active: true},
		{ID: "bob2", Name: "Bob", Key: "robert@desk.example", Active: true},
		{ID: "old", Name: "Old", Key: "old@desk.example"},
		{ID: "jose", Name: "José Núñez", Key: "jn@desk.example", Active: true},
	}}
	for text, want := range map[string]string{
		"@anna please":                        "anna",
		"Hello @Anna, and @JoséNúñez.":        "anna jose",
		"(@anna@desk.example)":                "anna",
		"@annameier @anna":                    "anna",
		"@bob, look":                          "", // two of them
		"@robert look":                        "bob2",
		"@old @nobody":                        "",
		"write to anna@desk.example":          "",
		"a@anna is no mention, nor is @ anna": "",
		"first line\n@anna":                   "anna",
		"<p>@anna</p>":                        "anna",
	} {
		if got := strings.Join(mentions(desk, text), " "); got != want {
			t.Errorf("%q names %q, want %q", text, got, want)
		}
	}
}

func TestWatching(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	told := func() (list []string) {
		rows, _ := d.deliveries(r.Ticket, store.MailNotification)
		for _, row := range rows {
			list = append(list, row.Recipient)
		}
		return list
	}
	before := len(told())
	if err := d.AddWatcher(d.ctx, d.anna, r.Ticket, d.ivo.ID); err != nil {
		t.Fatal(err)
	}
	if got := told()[before:]; !slices.Equal(got, []string{d.ivo.Email}) {
		t.Errorf("told are %v, want the watcher alone", got)
	}
	if last := d.last(r.Ticket); last.Type != store.TypeStatusChange || last.Changes[0] != (store.Change{Field: "watchers", To: "Ivo"}) {
		t.Errorf("the history says %+v", last)
	}
	wantField(t, d.AddWatcher(d.ctx, d.anna, r.Ticket, d.otto.ID), "agent_id")
	if err := d.AddWatcher(d.ctx, d.otto, r.Ticket, d.ivo.ID); !store.IsNotFound(err) {
		t.Errorf("an outsider chose a watcher: %v", err)
	}
	before = len(told())
	d.answer(r.Ticket, "hello") // by Anna
	if got := told()[before:]; !slices.Contains(got, d.ivo.Email) {
		t.Errorf("told are %v, and not the watcher", got)
	}
	if err := d.RemoveWatcher(d.ctx, d.ivo, r.Ticket, d.ivo.ID); err != nil {
		t.Fatal(err)
	}
	before = len(told())
	d.answer(r.Ticket, "again")
	if got := told()[before:]; slices.Contains(got, d.ivo.Email) {
		t.Errorf("told are %v, though he doesn't watch any more", got)
	}
}

func TestMentionInANoteMakesAWatcher(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	_, err := d.AddActivity(d.ctx, d.anna, r.Ticket, NewActivity{Type: store.TypeNote, Text: "@ivo do you know? @otto @anna"})
	if err != nil {
		t.Fatal(err)
	}
	view, err := d.Ticket(d.ctx, d.anna, r.Ticket)
	if err != nil || !slices.Equal(view.Watchers, []string{d.ivo.ID}) {
		t.Errorf("the watchers are %v, %v", view.Watchers, err)
	}
	if m := d.notified(r.Ticket, d.ivo); !strings.Contains(m.Text, "you were mentioned") {
		t.Errorf("he is told: %s", m.Text)
	}
}

// A move out of sight takes owner and watchers along; they are told once.
func TestWatchersAreLostByAMove(t *testing.T) {
	d := newDesk(t)
	channel, _ := d.helpdesk() // Anna sees it, Ivo does not
	r := d.open()
	for _, id := range []string{d.anna.ID, d.ivo.ID} {
		if err := d.AddWatcher(d.ctx, d.anna, r.Ticket, id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.PatchTicket(d.ctx, d.anna, r.Ticket, TicketPatch{ChannelID: &channel.ID}); err != nil {
		t.Fatal(err)
	}
	view, err := d.Ticket(d.ctx, d.anna, r.Ticket)
	if err != nil || !slices.Equal(view.Watchers, []string{d.anna.ID}) {
		t.Errorf("the watchers are %v, %v", view.Watchers, err)
	}
	if m := d.notified(r.Ticket, d.ivo); !strings.Contains(m.Text, "moved out of your sight") {
		t.Errorf("he is told: %s", m.Text)
	}
}

func TestMergeUnitesWatchers(t *testing.T) {
	d := newDesk(t)
	first, second := d.open(), d.deliver(letter{from: "carla@ext.example", subject: "Other"})
	if err := d.AddWatcher(d.ctx, d.anna, second.Ticket, d.ivo.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Merge(d.ctx, d.anna, second.Ticket, first.Ticket); err != nil {
		t.Fatal(err)
	}
	view, err := d.Ticket(d.ctx, d.anna, first.Ticket)
	if err != nil || !slices.Equal(view.Watchers, []string{d.ivo.ID}) {
		t.Errorf("the watchers are %v, %v", view.Watchers, err)
	}
}

// Who chose events is told in the console, and by no mail; so is everybody while
// there is no account to send with.
func TestToldByEvent(t *testing.T) {
	d := newDesk(t)
	d.anna.Notify = map[string]string{roleSubscriber: store.NotifyEvent}
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutAgent(ctx, *d.anna) })
	r := d.open()
	if slices.Contains(d.told(r.Ticket), d.anna.Email) {
		t.Error("she got a mail")
	}
	notice := d.lastEvent()
	if notice.Kind != store.EventAgentNotice || notice.AgentID != d.anna.ID || notice.Ticket != r.Ticket || notice.Data.Reason != "new" {
		t.Errorf("the event is %+v", notice)
	}
}

func TestToldByEventWithoutAnAccount(t *testing.T) {
	d := newDesk(t)
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteAccount(ctx, d.account.ID) })
	made, err := d.CreateTicket(d.ctx, d.ivo, NewTicket{Kind: store.KindInternal, ChannelID: d.channel.ID, Subject: "x", Text: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if notice := d.lastEvent(); notice.AgentID != d.anna.ID || notice.Ticket != made.Number || len(d.told(made.Number)) != 0 {
		t.Errorf("the event is %+v, mails went to %v", notice, d.told(made.Number))
	}
}

// The note that opens an internal ticket calls people as any other.
func TestMentionInTheNoteThatOpensATicket(t *testing.T) {
	d := newDesk(t)
	made, err := d.CreateTicket(d.ctx, d.anna, NewTicket{
		Kind: store.KindInternal, ChannelID: d.channel.ID, Subject: "x", Text: "@ivo do you know? @otto", Watchers: []string{d.ivo.ID},
	})
	if err != nil {
		t.Fatal(err)
	}
	view, err := d.Ticket(d.ctx, d.anna, made.Number)
	if err != nil || !slices.Equal(view.Watchers, []string{d.ivo.ID}) {
		t.Errorf("the watchers are %v, %v", view.Watchers, err)
	}
	if m := d.notified(made.Number, d.ivo); !strings.Contains(m.Text, "you were mentioned") {
		t.Errorf("he is told: %s", m.Text)
	}
}

// A ticket that is split off into another channel is a new one there.
func TestASplitIsToldAsANewTicket(t *testing.T) {
	d := newDesk(t)
	channel, _ := d.helpdesk() // Anna sees it
	d.anna.Notify = map[string]string{roleSubscriber: store.NotifyRelevant}
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutAgent(ctx, *d.anna) })
	r := d.open()
	d.deliver(letter{from: "Carla <carla@ext.example>", subject: "[T#10001] Door"})
	split, err := d.SplitActivity(d.ctx, d.ivo, r.Ticket, d.last(r.Ticket).ID, Split{ChannelID: channel.ID})
	if err != nil {
		t.Fatal(err)
	}
	if m := d.notified(split.Number, d.anna); !strings.Contains(m.Text, "new ticket") {
		t.Errorf("she is told: %s", m.Text)
	}
}

// While there is no account to send with, there are no digests either.
func TestNoDigestWithoutAnAccount(t *testing.T) {
	d := newDesk(t)
	d.digested(d.anna)
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteAccount(ctx, d.account.ID) })
	made, err := d.CreateTicket(d.ctx, d.ivo, NewTicket{Kind: store.KindInternal, ChannelID: d.channel.ID, Subject: "x", Text: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if e := d.lastEvent(); e.Kind != store.EventAgentNotice || e.AgentID != d.anna.ID || e.Ticket != made.Number {
		t.Errorf("the event is %+v", e)
	}
}

// A merge that gives a ticket values of custom fields says so: in its history,
// its version, and search.
func TestMergeTellsOfTheFieldsThatItBrings(t *testing.T) {
	d := newDesk(t)
	field := store.CustomField{ID: store.NewID(), Key: "serial", Name: "Serial", Type: store.FieldText}
	d.update(func(ctx context.Context, tx *store.Tx) error { return tx.PutCustomField(ctx, field) })
	first, second := d.open(), d.deliver(letter{from: "carla@ext.example", subject: "Other"})
	if _, err := d.PatchTicket(d.ctx, d.anna, second.Ticket, TicketPatch{Fields: map[string]any{"serial": "XYZZY"}}); err != nil {
		t.Fatal(err)
	}
	before := d.ticket(first.Ticket).Version
	if _, err := d.Merge(d.ctx, d.anna, second.Ticket, first.Ticket); err != nil {
		t.Fatal(err)
	}
	if last := d.last(first.Ticket); !slices.Contains(last.Changes, store.Change{Field: "fields.serial", To: "XYZZY"}) {
		t.Errorf("the history says %+v", last.Changes)
	}
	if d.ticket(first.Ticket).Version == before {
		t.Error("the version stayed")
	}
	if !slices.Contains(d.found("xyzzy"), first.Ticket) {
		t.Errorf("search finds %v", d.found("xyzzy"))
	}
}

// An agent's note by mail calls people as well; what he quotes doesn't.
func TestMentionInANoteByMail(t *testing.T) {
	for _, verdict := range []store.Verdict{store.Verified, store.AuthError} {
		t.Run(string(verdict), func(t *testing.T) {
			d := newDesk(t)
			r := d.open()
			l := reply("Anna <anna@test.example>", d.notified(r.Ticket, d.anna), "#note\nAsk @ivo.\n\n> @admin, what do you think?")
			l.verdict = verdict
			in := d.incoming(l)
			if d.take(in); verdict == store.AuthError {
				d.recheckAs(in, store.Verified)
			}
			view, err := d.Ticket(d.ctx, d.anna, r.Ticket)
			if err != nil || !slices.Equal(view.Watchers, []string{d.ivo.ID}) {
				t.Errorf("the watchers are %v, %v", view.Watchers, err)
			}
			if m := d.notified(r.Ticket, d.ivo); !strings.Contains(m.Text, "you were mentioned") {
				t.Errorf("he is told: %s", m.Text)
			}
		})
	}
}
