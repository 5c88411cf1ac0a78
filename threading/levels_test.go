package threading

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ticketgate/store"
)

// TestClock plays the stories of testdata/clock.txt.
func TestClock(t *testing.T) {
	table, err := os.ReadFile("testdata/clock.txt")
	if err != nil {
		t.Fatal(err)
	}
	stories := 0
	for story := range strings.SplitSeq(string(table), "\n\n") {
		title, rest, ok := strings.Cut(strings.TrimSpace(story), "\n")
		if !ok || strings.HasPrefix(title, "##") {
			continue
		}
		stories++
		t.Run(strings.TrimPrefix(title, "# "), func(t *testing.T) { play(t, strings.Split(rest, "\n")) })
	}
	if stories < 8 {
		t.Errorf("only %d stories", stories)
	}
}

// play runs one story: each line is a minute, what happened then, and what the
// clock says.
func play(t *testing.T, lines []string) {
	start := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	by := course{channelID: "here", level: &store.ServiceLevel{ID: "gold", RespondMinutes: 60, ResolveMinutes: 240, WarnMinutes: 15}}
	var c store.Clock
	for _, line := range lines {
		left, want, ok := strings.Cut(line, "|")
		words := strings.Fields(left)
		if !ok || len(words) == 0 {
			t.Fatalf("no line: %q", line)
		}
		var minute int
		if _, err := fmt.Sscan(words[0], &minute); err != nil {
			t.Fatal(err)
		}
		now := start.Add(time.Duration(minute) * time.Minute)
		var told []string
		for _, s := range steps(c, by) {
			if !c.Since.IsZero() && !s.at.After(now) {
				told = append(told, s.kind)
				c = noted(c, s.kind, by.channelID)
			}
		}
		var what happening
		for _, word := range words[1:] {
			switch word {
			case "asks":
				what.asked = true
			case "answer":
				what.answered, what.acted = true, true
			case "work":
				what.acted = true
			case store.ResponsibleUs, store.ResponsibleCustomer, store.ResponsibleNone:
				by.turn = word
			case "look":
			case "escalates":
				by.escalation = store.Escalation{AfterMinutes: 30, ToChannelID: "there"}
			case "elsewhere":
				by.channelID = "elsewhere"
			default:
				t.Fatalf("no word: %s", word)
			}
		}
		c = tick(c, by, what, now)
		got := []string{levelState(c, now)}
		for name, at := range map[string]time.Time{"respond": c.RespondBy, "resolve": c.ResolveBy} {
			if !at.IsZero() {
				got = append(got, fmt.Sprintf("%s=%.0f", name, at.Sub(start).Minutes()))
			}
		}
		slices.Sort(got[1:])
		slices.Reverse(got[1:])
		if told != nil {
			got = append(got, "tells "+strings.Join(told, " "))
		}
		if text := strings.Join(got, " "); text != strings.Join(strings.Fields(want), " ") {
			t.Errorf("at %s: %s, want %s", strings.TrimSpace(left), text, strings.TrimSpace(want))
		}
	}
}

// leveled gives the desk a level of an hour to answer, a day to end, and a warning a
// quarter before; the channel escalates after two hours.
func (d *desk) leveled() (channel store.Channel) {
	channel, _ = d.helpdesk()
	d.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.PutServiceLevel(ctx, store.ServiceLevel{ID: "gold", Name: "Gold", RespondMinutes: 60, ResolveMinutes: 24 * 60, WarnMinutes: 15, ManagerID: d.ivo.ID})
	})
	d.setChannel(func(c *store.Channel) {
		c.ServiceLevelID = "gold"
		c.Escalation = store.Escalation{AfterMinutes: 120, FreeOwner: true, ToChannelID: channel.ID, Notify: []string{d.admin.ID}}
	})
	return channel
}

func (d *desk) keepTime() {
	d.t.Helper()
	if err := d.KeepTime(d.ctx); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) clock(number int64) (c store.Clock) {
	d.t.Helper()
	d.view(func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.Clocks(ctx, number)
		c = all[number]
		return err
	})
	return c
}

// told of steps by the system, in the order of the history.
func (d *desk) stepsTold(number int64) (kinds []string) {
	for _, a := range d.activities(number) {
		if a.OriginalEvent != "" {
			kinds = append(kinds, a.OriginalEvent)
		}
	}
	return kinds
}

func TestServiceLevelOfATicket(t *testing.T) {
	d := newDesk(t)
	helpdesk := d.leveled()
	r := d.open()
	if _, err := d.TakeOwnership(d.ctx, d.anna, r.Ticket); err != nil {
		t.Fatal(err)
	}
	opened := d.now
	if c := d.clock(r.Ticket); !c.RespondBy.Equal(opened.Add(time.Hour)) || !d.ticket(r.Ticket).RespondBy.Equal(c.RespondBy) {
		t.Fatalf("the clock is %+v, the ticket sorts by %v", c, d.ticket(r.Ticket).RespondBy)
	}
	for minutes, want := range map[int][]string{44: nil, 45: {stepRespondWarning}} {
		d.now = opened.Add(time.Duration(minutes) * time.Minute)
		if minutes == 44 {
			d.keepTime()
			if got := d.stepsTold(r.Ticket); !slices.Equal(got, want) {
				t.Errorf("after %d minutes it told %v", minutes, got)
			}
		}
	}
	d.now = opened.Add(45 * time.Minute)
	d.keepTime()
	d.keepTime()
	d.now = opened.Add(60 * time.Minute)
	d.keepTime()
	d.now = opened.Add(121 * time.Minute)
	d.keepTime()
	d.keepTime()
	if got, want := d.stepsTold(r.Ticket), []string{stepRespondWarning, stepRespondBreach, stepEscalation}; !slices.Equal(got, want) {
		t.Errorf("it told %v, want %v", got, want)
	}
	after := d.ticket(r.Ticket)
	if after.OwnerID != "" || after.ChannelID != helpdesk.ID {
		t.Errorf("it was not escalated: %+v", after)
	}
	if c := d.clock(r.Ticket); c.LevelID != "gold" || levelState(c, d.now) != levelRed {
		t.Errorf("it lost its level by that: %+v", c)
	}
	told := d.told(r.Ticket)
	for _, agent := range []*store.Agent{d.ivo, d.admin} { // the manager, and whom the escalation names
		if !slices.Contains(told, agent.Email) {
			t.Errorf("%s was not told: %v", agent.Name, told)
		}
	}
}

func TestAnswerAndCloseStopTheClock(t *testing.T) {
	d := newDesk(t)
	d.leveled()
	r := d.open()
	d.now = d.now.Add(10 * time.Minute)
	d.answer(r.Ticket, "hello")
	if c := d.clock(r.Ticket); !c.RespondBy.IsZero() || !c.DueAt.IsZero() || levelState(c, d.now) != levelPaused {
		t.Errorf("answered: %+v", c)
	}
	d.now = d.now.Add(time.Hour)
	d.deliver(letter{from: "carla@ext.example", subject: "[T#10001] again", verdict: store.Verified})
	if c := d.clock(r.Ticket); !c.RespondBy.Equal(d.now.Add(time.Hour)) || !c.ResolveBy.Equal(d.now.Add(24*time.Hour-10*time.Minute)) {
		t.Errorf("asked again: %+v", c)
	}
	d.close(r.Ticket)
	if c := d.clock(r.Ticket); levelState(c, d.now) != levelMet || !c.DueAt.IsZero() {
		t.Errorf("closed: %+v", c)
	}
}

// The first of ticket, contact, company (or one above it), channel.
func TestWhichServiceLevel(t *testing.T) {
	d := newDesk(t)
	d.update(func(ctx context.Context, tx *store.Tx) error {
		for _, id := range []string{"ticket", "contact", "company", "holding", "channel"} {
			if err := tx.PutServiceLevel(ctx, store.ServiceLevel{ID: id, Name: id, ResolveMinutes: 60}); err != nil {
				return err
			}
		}
		for _, c := range []store.Company{{ID: "h", Name: "Holding"}, {ID: "c", Name: "Customer", ParentID: "h", Domains: []string{"ext.example"}}} {
			if err := tx.PutCompany(ctx, c); err != nil {
				return err
			}
		}
		return nil
	})
	r := d.open()
	contact := d.ticket(r.Ticket).ContactID
	level := func() string { d.keepTime(); return d.clock(r.Ticket).LevelID }
	set := func(kind, id, level string) {
		d.update(func(ctx context.Context, tx *store.Tx) error { return SetLevel(ctx, tx, kind, id, level) })
	}
	if got := level(); got != "" {
		t.Errorf("none is named, and it has %q", got)
	}
	d.setChannel(func(c *store.Channel) { c.ServiceLevelID = "channel" })
	for _, c := range []struct{ kind, id, level string }{
		{"", "", "channel"}, {store.LevelOfCompany, "h", "holding"}, {store.LevelOfCompany, "c", "company"}, {store.LevelOfContact, contact, "contact"},
	} {
		if c.kind != "" {
			set(c.kind, c.id, c.level)
		}
		if got := level(); got != c.level {
			t.Errorf("it has the level of the %s, want that of the %s", got, c.level)
		}
	}
	set(store.LevelOfContact, contact, "") // what is taken away is not kept
	if got := level(); got != "company" {
		t.Errorf("it has the level of the %s, want that of the company", got)
	}
	own := "ticket"
	if _, err := d.PatchTicket(d.ctx, d.anna, r.Ticket, TicketPatch{ServiceLevelID: &own}); err != nil {
		t.Fatal(err)
	}
	if got := level(); got != "ticket" {
		t.Errorf("it has the level of the %s", got)
	}
}

func TestAlarms(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	at, text := d.now.Add(time.Hour), "call back"
	v, err := d.PutAlarm(d.ctx, d.anna, r.Ticket, "", NewAlarm{At: &at, Comment: &text})
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.PutAlarm(d.ctx, d.anna, r.Ticket, "", NewAlarm{At: &d.now})
	wantField(t, err, "at")
	_, err = d.PutAlarm(d.ctx, d.anna, r.Ticket, "", NewAlarm{At: &at, AgentID: &d.otto.ID})
	wantField(t, err, "agent_id")
	before := len(d.told(r.Ticket))
	d.keepTime()
	if len(d.told(r.Ticket)) != before {
		t.Fatal("it went off too early")
	}
	d.now = at
	d.keepTime()
	d.keepTime()
	if got := d.told(r.Ticket)[before:]; !slices.Equal(got, []string{d.anna.Email}) {
		t.Errorf("told are %v, want her once", got)
	}
	if n := d.lastEvent(); n.AgentID != d.anna.ID || n.Data.Reason != reasonAlarm || n.Data.Text != text {
		t.Errorf("the event is %+v", n)
	}
	later := d.now.Add(time.Hour) // another time, and it rings again
	if v, err = d.PutAlarm(d.ctx, d.anna, r.Ticket, v.ID, NewAlarm{At: &later}); err != nil || !v.DoneAt.IsZero() {
		t.Fatalf("%+v, %v", v, err)
	}
	d.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.DeleteSubscription(ctx, d.channel.ID, d.anna.ID)
	})
	d.now = later
	d.keepTime()
	if n := len(d.told(r.Ticket)); n != before+1 {
		t.Error("it rang for one who doesn't see the ticket any more")
	}
}

// Each warning, breach, escalation and alarm once, however many nodes look at the
// same moment.
func TestTimeOnTwoNodes(t *testing.T) {
	d, other := twoNodes(t)
	d.leveled()
	var tickets []int64
	for i := range 12 {
		r := d.deliver(letter{from: fmt.Sprintf("u%d@ext.example", i), subject: "Printer"})
		tickets = append(tickets, r.Ticket)
		at := d.now.Add(50 * time.Minute)
		if _, err := d.PutAlarm(d.ctx, d.anna, r.Ticket, "", NewAlarm{At: &at}); err != nil {
			t.Fatal(err)
		}
	}
	for _, wait := range []time.Duration{46 * time.Minute, 15 * time.Minute, 70 * time.Minute} {
		d.now = d.now.Add(wait)
		var wg sync.WaitGroup
		for _, node := range []*Service{d.Service, other, d.Service, other} {
			wg.Go(func() {
				if err := node.KeepTime(d.ctx); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		d.keepTime()
	}
	alarms := map[int64]int{}
	for _, e := range d.events() {
		if e.Data.Reason == reasonAlarm {
			alarms[e.Ticket]++
		}
	}
	for _, number := range tickets {
		if got, want := d.stepsTold(number), []string{stepRespondWarning, stepRespondBreach, stepEscalation}; !slices.Equal(got, want) {
			t.Errorf("%d told %v, want %v", number, got, want)
		}
		if alarms[number] != 1 {
			t.Errorf("the alarm of %d rang %d times", number, alarms[number])
		}
	}
}

// Each channel that a ticket is escalated to has its own time; who was freed and the
// manager are told.
func TestEscalationsFollowEachOther(t *testing.T) {
	d := newDesk(t)
	second := d.leveled()
	third := DefaultChannel("Third", map[string]string{statusNew: d.statusID(statusNew)})
	d.update(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.PutChannel(ctx, third); err != nil {
			return err
		}
		second.Escalation = store.Escalation{AfterMinutes: 30, ToChannelID: third.ID}
		return tx.PutChannel(ctx, second)
	})
	r := d.open()
	if _, err := d.TakeOwnership(d.ctx, d.anna, r.Ticket); err != nil {
		t.Fatal(err)
	}
	told := len(d.told(r.Ticket))
	for _, c := range []struct {
		wait time.Duration
		want string
	}{{119 * time.Minute, d.channel.ID}, {time.Minute, second.ID}, {29 * time.Minute, second.ID}, {time.Minute, third.ID}} {
		d.now = d.now.Add(c.wait)
		d.keepTime()
		if got := d.ticket(r.Ticket).ChannelID; got != c.want {
			t.Errorf("after another %s it lies in %s", c.wait, d.desk().Channel(got).Name)
		}
	}
	if got := d.told(r.Ticket)[told:]; !slices.Contains(got, d.anna.Email) || !slices.Contains(got, d.ivo.Email) {
		t.Errorf("told are %v, want the owner who was freed and the manager as well", got)
	}
}

// A stranger's word that an agent lets in is one that waits for an answer.
func TestClockOfAConfirmedWord(t *testing.T) {
	d := newDesk(t)
	d.leveled()
	r := d.open()
	d.answer(r.Ticket, "hello")
	d.now = d.now.Add(time.Minute)
	held := d.deliver(letter{from: "sam@else.example", subject: "[T#10001] me too", verdict: store.Verified})
	if held.Outcome != OutcomeHold {
		t.Fatalf("%+v", held)
	}
	if _, err := d.Confirm(d.ctx, d.anna, held.Ticket, RememberNothing); err != nil {
		t.Fatal(err)
	}
	if c := d.clock(r.Ticket); !c.Waits {
		t.Errorf("nobody waits: %+v", c)
	}
}

// A channel's level follows the channel, also for a ticket that moved away.
func TestLevelOfAChannelChanges(t *testing.T) {
	d := newDesk(t)
	second := d.leveled()
	d.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.PutServiceLevel(ctx, store.ServiceLevel{ID: "silver", Name: "Silver", RespondMinutes: 600})
	})
	r := d.open()
	if _, err := d.PatchTicket(d.ctx, d.anna, r.Ticket, TicketPatch{ChannelID: &second.ID}); err != nil {
		t.Fatal(err)
	}
	for _, level := range []string{"gold", "silver", ""} {
		d.setChannel(func(c *store.Channel) { c.ServiceLevelID = level })
		d.keepTime()
		if got := d.clock(r.Ticket).LevelID; got != level {
			t.Errorf("it has %q, want %q", got, level)
		}
	}
}
