package threading

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"ticketgate/store"
)

// erasing is an erasure at one ticket.
type erasing struct {
	*work
	e       *store.Erasure
	t       store.Ticket
	own     bool     // it is the person's ticket, or one that he wrote into
	ids     []string // Message-IDs of the person's mail
	touched bool     // something of its history changed
	keys    []string // of his addresses, with those that have a +detail
}

// ticket takes the person out of a ticket. In one that is his, or that he wrote
// into, quotes go as well, and the bytes of all mail; what agents and others
// wrote stays, as text.
func (e *erasing) ticket(ctx context.Context, number int64) error {
	var err error
	if e.t, err = e.tx.Ticket(ctx, number); err != nil {
		return hard(err)
	}
	history, err := wholeHistory(ctx, e.tx, number)
	if err != nil {
		return err
	}
	persons, others := e.parted(history)
	e.own = len(persons) > 0 || slices.Contains(e.e.Work.IDs, e.t.ContactID)
	e.keys = slices.Clone(e.e.Work.Keys)
	r, err := e.knows(ctx, persons)
	if err != nil {
		return err
	}
	if err := e.skeleton(ctx, r, history, persons); err != nil {
		return err
	}
	for _, a := range persons {
		if err := e.empty(ctx, a); err != nil {
			return err
		}
	}
	for _, a := range others {
		if err := e.redact(ctx, r, a); err != nil {
			return err
		}
	}
	if err := e.namers(ctx, r); err != nil {
		return err
	}
	return e.rest(ctx, r)
}

// wholeHistory gives all activities of a ticket.
func wholeHistory(ctx context.Context, tx *store.Tx, number int64) ([]store.Activity, error) {
	var all []store.Activity
	for cursor := ""; ; {
		some, next, err := tx.Activities(ctx, number, cursor, 200)
		if all = append(all, some...); err != nil || next == "" {
			return all, err
		}
		cursor = next
	}
}

// parted tells what the person wrote from what others did.
func (e *erasing) parted(history []store.Activity) (persons, others []store.Activity) {
	for _, a := range history {
		if wroteIt(e.e.Work, a) {
			persons = append(persons, a)
		} else {
			others = append(others, a)
		}
	}
	return persons, others
}

// knows gives what the person is known by in this ticket, and his lines.
func (e *erasing) knows(ctx context.Context, persons []store.Activity) (*redactor, error) {
	k := traits{addresses: slices.Concat(e.e.Work.Keys, e.e.Work.Addresses)}
	people, err := e.tx.Participants(ctx, e.t.Number)
	if err != nil {
		return nil, err
	}
	for _, p := range people {
		if isOf(e.e.Work.Keys, p.Address) {
			e.keys, k.addresses, k.names = append(e.keys, p.Key), append(k.addresses, p.Address), append(k.names, p.Name)
		}
	}
	for _, a := range persons {
		if a.MessageID != "" {
			e.ids = append(e.ids, a.MessageID)
		}
		k.addresses, k.names, k.words = append(k.addresses, a.Author.Address), append(k.names, a.Author.Name), append(k.words, a.Subject)
	}
	k.ids = e.ids
	if e.own {
		k.names, k.words = append(k.names, e.e.Work.Names...), append(k.words, e.e.Work.Phones...)
		k.words = append(k.words, e.e.Work.Subjects...)
	} else {
		k.names = nil // somebody else may be called the same
	}
	k.addresses = slices.DeleteFunc(k.addresses, func(a string) bool { return !strings.Contains(a, "@") })
	r := newRedactor(k, e.own)
	for _, a := range persons {
		r.wrote(a.Text)
		r.wrote(a.Subject)
	}
	return r, nil
}

// skeleton takes the person out of the ticket itself. A subject that came with
// his mail is his, wherever that lies now.
func (e *erasing) skeleton(ctx context.Context, r *redactor, history, persons []store.Activity) error {
	his := len(persons) > 0 && persons[0].ID == history[0].ID ||
		e.own && slices.Contains(e.e.Work.Subjects, e.s.keys.bareSubject(e.t.Subject))
	if e.t.Subject = r.plain(e.t.Subject); his {
		e.t.Subject = erasedMark
	}
	for i := range e.t.Tags {
		e.t.Tags[i] = r.plain(e.t.Tags[i])
	}
	if slices.Contains(e.e.Work.IDs, e.t.ContactID) {
		e.t.ContactID = ""
	}
	e.t.Version++
	return e.tx.UpdateTicket(ctx, e.t)
}

// empty removes what the person wrote: what is left is that something came, and
// when.
func (e *erasing) empty(ctx context.Context, a store.Activity) error {
	if err := e.forgetIDs(ctx, a); err != nil {
		return err
	}
	files, err := e.tx.DeleteAttachments(ctx, a)
	if err != nil {
		return err
	}
	for _, f := range files {
		e.e.Work.Blobs = append(e.e.Work.Blobs, f.Hash)
	}
	if a.RawHash != "" {
		e.e.Work.Blobs = append(e.e.Work.Blobs, a.RawHash)
	}
	e.touched = true
	kept := store.ActivityDetail{Moved: a.Moved, Chosen: true, Hidden: a.Hidden, OriginalEvent: a.OriginalEvent, Erased: e.now}
	if a.Auth != nil {
		kept.Auth = &store.Auth{DKIM: []store.DKIMResult{}, Verdict: a.Auth.Verdict}
	}
	if a.Match != nil {
		kept.Match = &store.Match{By: a.Match.By, Score: a.Match.Score, Signals: []store.Signal{}}
	}
	a.Subject, a.Text, a.HTML, a.ReplyText, a.MessageID, a.RawHash, a.External = "", "", "", "", "", "", false
	a.Author, a.ActivityDetail = store.Author{Kind: a.Author.Kind}, kept
	e.e.Activities, e.e.Attachments = e.e.Activities+1, e.e.Attachments+len(files)
	if err := e.tx.Unindex(ctx, a.ID); err != nil {
		return err
	}
	if err := e.tx.DeleteRecheck(ctx, a.ID); err != nil {
		return err
	}
	return e.changed(ctx, a)
}

// forgetIDs takes the ids of the person's mail out of what ties mail together;
// the hashes stay, and with them the thread.
func (e *erasing) forgetIDs(ctx context.Context, a store.Activity) error {
	for _, id := range slices.Concat(a.InReplyTo, a.References, []string{a.MessageID}) {
		if id == "" {
			continue
		}
		if err := e.tx.ForgetMessageID(ctx, id, a.ID); err != nil {
			return err
		}
	}
	return nil
}

// redact takes the person out of what somebody else wrote.
func (e *erasing) redact(ctx context.Context, r *redactor, a store.Activity) error {
	before := a
	if e.own && a.Sender != "" && a.ReplyText != "" {
		a.Text = a.ReplyText // what is newly written, without quotes and signature
	}
	a.Subject, a.Text, a.ReplyText = r.plain(a.Subject), r.text(a.Text), r.text(a.ReplyText)
	a.Author.Name, a.Author.Address = r.plain(a.Author.Name), r.plain(a.Author.Address)
	if e.own || r.plain(a.HTML) != a.HTML {
		a.HTML = ""
	}
	sameDetail, err := r.detail(&a)
	if err != nil {
		return err
	}
	same := sameDetail && a.Subject == before.Subject && a.Text == before.Text && a.ReplyText == before.ReplyText &&
		a.HTML == before.HTML && a.Author == before.Author
	if a.RawHash != "" && (e.own || !same) {
		e.e.Work.Blobs, a.RawHash, a.Trace, same = append(e.e.Work.Blobs, a.RawHash), "", "", false
	}
	if !same {
		e.e.Redacted, e.touched = e.e.Redacted+1, true
		if err := e.changed(ctx, a); err != nil {
			return err
		}
	}
	return e.found(ctx, a, same)
}

// found has an activity of somebody else found by what is left: also by the
// ticket's subject, where it has none of its own.
func (e *erasing) found(ctx context.Context, a store.Activity, same bool) error {
	switch {
	case same && !e.own:
		return nil
	case a.Type != store.TypeStatusChange:
		return e.reindex(ctx, a)
	case same:
		return nil
	}
	if err := e.tx.Unindex(ctx, a.ID); err != nil {
		return err
	}
	return e.indexFields(ctx, e.t, a)
}

func (e *erasing) changed(ctx context.Context, a store.Activity) error {
	if err := e.tx.UpdateActivity(ctx, a); err != nil {
		return err
	}
	return e.tx.AddEvent(ctx, store.Event{
		Kind: store.EventActivityChanged, Ticket: a.Ticket, ActivityID: a.ID, At: e.now,
		Data: store.EventData{Fields: []string{"erased"}},
	})
}

// namers takes the person out of what answers his mail in other tickets, such
// as one that waits to be let in, and then the ids of his mail out of what ties
// mail together.
func (e *erasing) namers(ctx context.Context, r *redactor) error {
	kin, err := e.kin(ctx)
	if err != nil {
		return err
	}
	for _, number := range kin {
		if err := e.answering(ctx, r, number); err != nil {
			return err
		}
	}
	for _, id := range e.ids {
		if err := e.tx.ForgetMessageID(ctx, id, ""); err != nil {
			return err
		}
	}
	return nil
}

// kin gives the other tickets where an answer to the person's mail may lie: that
// are linked, or whose mail named one of its ids.
func (e *erasing) kin(ctx context.Context) ([]int64, error) {
	if !e.own {
		return nil, nil
	}
	links, err := e.tx.Links(ctx, e.t.Number)
	if err != nil {
		return nil, err
	}
	kin := map[int64]bool{}
	for _, l := range links {
		kin[l.Number] = true
	}
	for _, id := range e.ids {
		naming, err := e.tx.ActivitiesNamingMessage(ctx, id)
		if err != nil {
			return nil, err
		}
		for _, activity := range naming {
			a, err := e.tx.Activity(ctx, activity)
			if hard(err) != nil {
				return nil, err
			}
			kin[a.Ticket] = err == nil
		}
	}
	delete(kin, e.t.Number)
	delete(kin, 0)
	return slices.Sorted(maps.Keys(kin)), nil
}

// answering takes the person out of those activities of another ticket that name
// him or a mail of his: they may quote him, and bear his subject.
func (e *erasing) answering(ctx context.Context, r *redactor, number int64) error {
	other := &erasing{work: e.work, e: e.e, own: true, keys: e.keys}
	var err error
	if other.t, err = e.tx.Ticket(ctx, number); err != nil {
		return hard(err)
	}
	history, err := wholeHistory(ctx, e.tx, other.t.Number)
	if err != nil {
		return err
	}
	_, others := e.parted(history)
	others = slices.DeleteFunc(others, func(a store.Activity) bool { return !r.knows(a) })
	if len(others) == 0 {
		return nil
	}
	if err := other.skeleton(ctx, r, history, nil); err != nil {
		return err
	}
	for _, a := range others {
		if err := other.redact(ctx, r, a); err != nil {
			return err
		}
	}
	return other.rest(ctx, r)
}

// rest takes the person out of the ticket itself, and of what else is kept about
// it: participants, times, alarms, values, drafts, and the mail that went out.
func (e *erasing) rest(ctx context.Context, r *redactor) error {
	deliveries, cancelled, err := e.tx.EraseRecipient(ctx, e.t.Number, e.keys, e.now)
	if err != nil {
		return err
	}
	mails, err := e.tx.RewriteTicket(ctx, e.t.Number, store.Rewriter{Text: r.plain, JSON: r.json, Mail: r.mail})
	if err != nil {
		return err
	}
	more, err := e.tx.CancelErased(ctx, mails, e.now)
	if err != nil {
		return err
	}
	if e.touched || deliveries+len(mails) > 0 {
		e.e.Tickets++
	}
	e.e.Deliveries, e.e.Cancelled, e.e.Mails = e.e.Deliveries+deliveries, e.e.Cancelled+cancelled+more, e.e.Mails+len(mails)
	if err := e.tx.DeleteParticipants(ctx, e.t.Number, e.keys); err != nil {
		return err
	}
	return e.tx.ForgetAnswers(ctx, "/tickets/"+strconv.FormatInt(e.t.Number, 10))
}
