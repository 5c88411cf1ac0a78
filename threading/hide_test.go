package threading

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"ticketgate/store"
)

func (d *desk) hide(number int64, id string) {
	d.t.Helper()
	if _, err := d.HideActivity(d.ctx, d.anna, number, id); err != nil {
		d.t.Fatal(err)
	}
}

// found gives the tickets that a search finds.
func (d *desk) found(query string) (numbers []int64) {
	d.t.Helper()
	d.view(func(ctx context.Context, tx *store.Tx) error {
		list, _, err := tx.Tickets(ctx, store.TicketFilter{Query: query})
		for _, t := range list {
			numbers = append(numbers, t.Number)
		}
		return err
	})
	return numbers
}

// What an agent hid comes back into nobody's sight by what happens to its mail
// later.
func TestWhatIsHiddenStaysHidden(t *testing.T) {
	for name, c := range map[string]struct {
		mail    letter
		subject string // of the channel's new_subject
		later   func(d *desk, in Incoming, r Result)
	}{
		"its suggestion is dismissed": {
			mail: letter{from: "carla@ext.example", subject: "Re: XYZZY", header: "In-Reply-To: <m1@ext.example>\r\n"}, subject: store.NewSubjectSuggest,
			later: func(d *desk, _ Incoming, r Result) {
				if _, err := d.Dismiss(d.ctx, d.anna, r.Ticket); err != nil {
					d.t.Fatal(err)
				}
			},
		},
		"it is verified late, and would be let in": {
			mail:  letter{from: "carla@ext.example", subject: "[T#10001] XYZZY", verdict: store.AuthError},
			later: func(d *desk, in Incoming, r Result) { d.recheck(in, r, store.Verified) },
		},
		"it is verified late, and filed for a customer": {
			mail:  letter{from: "anna@test.example", subject: "Fwd: XYZZY", body: "#from: carla@ext.example\nXYZZY", verdict: store.AuthError},
			later: func(d *desk, in Incoming, r Result) { d.recheck(in, r, store.Verified) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			if c.subject != "" {
				d.setChannel(func(ch *store.Channel) { ch.NewSubject = c.subject })
			}
			d.open()
			in := d.incoming(c.mail)
			r := d.take(in)[0]
			if r.Outcome == OutcomeAppend {
				t.Fatalf("%+v: this is no case of what waits", r)
			}
			d.hide(r.Ticket, r.ActivityID)
			c.later(d, in, r)
			var a store.Activity
			d.view(func(ctx context.Context, tx *store.Tx) (err error) {
				a, err = tx.Activity(ctx, r.ActivityID)
				return err
			})
			if a.External || a.Hidden == nil || a.Ticket != r.Ticket {
				t.Errorf("shown %v, hidden %+v, in %d", a.External, a.Hidden, a.Ticket)
			}
			if numbers := d.found("xyzzy"); len(numbers) != 0 {
				t.Errorf("search finds it in %v", numbers)
			}
		})
	}
}

// An agent's mail that somebody hid before DNS answered is not sent on.
func TestAHiddenMailOfAnAgentIsNotSentOn(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	l := reply("Anna <anna@test.example>", d.notified(r.Ticket, d.anna), "Use water.")
	l.verdict = store.AuthError
	in := d.incoming(l)
	got := d.take(in)[0]
	d.hide(got.Ticket, got.ActivityID)
	d.recheck(in, got, store.Verified)
	if rows, _ := d.deliveries(r.Ticket, store.MailAnswer); len(rows) != 0 {
		t.Errorf("sent on: %+v", rows)
	}
}

// The subject of what is hidden is not told by what is made of it.
func TestTheSubjectOfWhatIsHiddenStaysHidden(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	second := d.deliver(letter{from: "carla@ext.example", subject: "XYZZY", header: "In-Reply-To: <m1@ext.example>\r\n"})
	if second.Ticket != r.Ticket {
		t.Fatalf("%+v", second)
	}
	d.hide(r.Ticket, second.ActivityID)
	if a := d.answer(r.Ticket, "Use water."); strings.Contains(a.Subject, "XYZZY") {
		t.Errorf("the answer tells it: %q", a.Subject)
	}
	split, err := d.SplitActivity(d.ctx, d.anna, r.Ticket, second.ActivityID, Split{})
	if err != nil || split.Subject != "Printer" {
		t.Errorf("the ticket that was split off tells it: %q, %v", split.Subject, err)
	}
}

// A file that was taken out of sight is found by its name no more, and what was
// said with it still is.
func TestTheNameOfAHiddenFileIsNotFound(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	files := []File{{Name: "xyzzy.txt", Content: []byte("x")}, {Name: "manual.txt", Content: []byte("x")}}
	a, err := d.AddActivity(d.ctx, d.anna, r.Ticket, NewActivity{Type: store.TypeNote, Text: "two papers", Attachments: files})
	if err != nil {
		t.Fatal(err)
	}
	var wrong string
	d.view(func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.Attachments(ctx, a.ID)
		for _, f := range all[a.ID] {
			if f.Name == "xyzzy.txt" {
				wrong = f.ID
			}
		}
		return err
	})
	if err := d.HideFile(d.ctx, d.anna, r.Ticket, a.ID, wrong); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string][]int64{"xyzzy": nil, "manual.txt": {r.Ticket}, "papers": {r.Ticket}, "anna": {r.Ticket}} {
		if got := d.found(query); !slices.Equal(got, want) {
			t.Errorf("%s finds %v, want %v", query, got, want)
		}
	}
	d.hide(r.Ticket, a.ID) // and a file of it as well
	if err := d.HideFile(d.ctx, d.admin, r.Ticket, a.ID, wrong); err != nil {
		t.Fatal(err)
	}
	if got := d.found("papers"); len(got) != 0 {
		t.Errorf("what is hidden is found in %v again", got)
	}
}

// What an agent takes out of sight, or a file of it, does not leave after that
// unless somebody releases it; what has left has left.
func TestWhatIsHiddenDoesNotLeave(t *testing.T) {
	d := newDesk(t)
	r := d.open()
	write := func() (store.Activity, func() store.DeliveryState) {
		a, err := d.AddActivity(d.ctx, d.anna, r.Ticket, NewActivity{
			Type: store.TypeOutgoing, Text: "XYZZY", SendAt: d.now.Add(time.Hour), Attachments: []File{{Name: "a.txt", Content: []byte("x")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return a, func() (state store.DeliveryState) {
			d.view(func(ctx context.Context, tx *store.Tx) error {
				states, err := tx.DeliveryStates(ctx, a.ID)
				state = states[a.ID]
				return err
			})
			return state
		}
	}
	whole, state := write()
	d.hide(r.Ticket, whole.ID)
	if state() != store.Held {
		t.Errorf("a hidden answer is %s", state())
	}
	other, state := write()
	var file string
	d.view(func(ctx context.Context, tx *store.Tx) error {
		files, err := tx.Attachments(ctx, other.ID)
		file = files[other.ID][0].ID
		return err
	})
	if err := d.HideFile(d.ctx, d.anna, r.Ticket, other.ID, file); err != nil {
		t.Fatal(err)
	}
	if state() != store.Held {
		t.Errorf("an answer with a hidden file is %s", state())
	}
}
