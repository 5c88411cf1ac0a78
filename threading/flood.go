package threading

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ticketgate/store"
)

// floodWindow is the time in which an account's new_ticket_limit counts.
const floodWindow = time.Hour

// maxOpeningSubject bounds what is kept of a subject to compare it by, in octets.
const maxOpeningSubject = 200

// stemFlood takes the accounts out for which the author has opened his
// new_ticket_limit of tickets within the hour. A mail with the subject of one of
// those, but for digits, joins it; any other waits in the quarantine.
func (f *filing) stemFlood(ctx context.Context, d Decision, who person) error {
	var rest []target
	if f.handed != nil {
		return nil
	}
	for _, t := range f.accounts {
		over, err := f.floods(ctx, t, who)
		if err != nil {
			return err
		}
		if !over {
			rest = append(rest, t)
			continue
		}
		if err := f.stem(ctx, t, d, who); err != nil {
			return err
		}
	}
	f.accounts = rest
	return nil
}

func (f *filing) stem(ctx context.Context, t target, d Decision, who person) error {
	if err := f.tellFlood(ctx, t); err != nil {
		return err
	}
	number, err := f.floodedTicket(ctx, t, d)
	if err != nil {
		return err
	}
	if number == 0 {
		return f.quarantine(ctx, []target{t}, "flood")
	}
	one := *f // the other accounts of the mail go their own way
	one.accounts = []target{t}
	return one.appendOnce(ctx, Decision{Outcome: OutcomeAppend, Ticket: number, Sender: d.Sender, Signals: d.Signals}, who, nil)
}

// floods tells whether the author opened as many tickets at an account as one
// address may. Whom we know and who proved it is not counted, nor what an admin
// let out of the quarantine.
func (f *filing) floods(ctx context.Context, t target, who person) (bool, error) {
	if !f.counted(t, who) {
		return false, nil
	}
	limit := t.account.NewTicketLimit
	n, err := f.tx.CountOpenings(ctx, t.account.ID, f.author.Key(), f.now.Add(-floodWindow), limit)
	return n >= limit, err
}

func (f *filing) counted(t target, who person) bool {
	switch {
	case t.account.NewTicketLimit == 0 || t.channel == nil || f.released || f.behalf != nil || f.mailed:
		return false
	case f.Auth.Verdict != store.Verified || !f.sole:
		return true
	}
	_, trusted := trustedBy(t.account, f.author.Key())
	known := who.contact.ID != "" && !who.contact.Provisional
	return !trusted && !known && f.agent() == nil
}

// floodedTicket gives the ticket that a mail over the limit joins, or 0. One
// that suggests somebody else's ticket, or whose sender is in doubt, joins none.
func (f *filing) floodedTicket(ctx context.Context, t target, d Decision) (int64, error) {
	if d.Outcome != OutcomeNew || f.senderFacts().weak() || f.nobody() {
		return 0, nil
	}
	number, err := f.tx.NewestOpening(ctx, t.account.ID, f.author.Key(), f.openingSubject(), f.now.Add(-floodWindow))
	if err != nil || number == 0 {
		return 0, err
	}
	into, err := f.s.followed(ctx, f.tx, number)
	if err != nil || into.Kind == store.KindInternal {
		return 0, err
	}
	return into.Number, nil
}

// noteOpening counts a ticket that was opened.
func (f *filing) noteOpening(ctx context.Context, t target, who person, number int64) error {
	if !f.counted(t, who) {
		return nil
	}
	return f.tx.AddOpening(ctx, store.Opening{
		AccountID: t.account.ID, Key: f.author.Key(), Subject: f.openingSubject(), Ticket: number, At: f.now,
	})
}

// openingSubject is the subject without its digits, reply prefixes and tags.
func (f *filing) openingSubject() string {
	s := strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, f.s.keys.bareSubject(f.Message.Subject))
	for len(s) > maxOpeningSubject {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// tellFlood has one alarm an hour tell of a flood.
func (f *filing) tellFlood(ctx context.Context, t target) error {
	first, err := f.tx.NoteFlood(ctx, t.account.ID, f.author.Key(), f.now, f.now.Add(-floodWindow))
	if err != nil || !first {
		return err
	}
	f.tx.AfterCommit(func() {
		f.s.log.Error("alarm: an address opens more tickets than new_ticket_limit allows; its mail joins them or waits in the quarantine",
			"account", t.account.Address, "from", f.author.String(), "limit", t.account.NewTicketLimit, "delivery_id", f.DeliveryID)
	})
	return nil
}
