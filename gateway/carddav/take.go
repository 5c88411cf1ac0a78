package carddav

import (
	"bytes"
	"cmp"
	"context"

	"ticketgate/gateway/cards"
	"ticketgate/store"
	"ticketgate/threading"
)

// take reads some cards and imports them. What is remembered of them is written
// after that: where it breaks off in between, they are read again and found
// unchanged.
func (r *round) take(ctx context.Context, book Book, known map[string]store.BookCard, wanted []listed) error {
	found, err := r.opt.Client.cards(ctx, book, wanted)
	if err != nil || len(found) == 0 {
		return err
	}
	list := make([]threading.Card, len(found))
	for i, o := range found {
		list[i] = cardOf(o)
		list[i].Line, list[i].Before = i, known[hashOf(o.path)].ContactID
	}
	done, err := r.into.Take(ctx, list)
	if err != nil {
		return err
	}
	r.done = r.done.Plus(done)
	for _, refusal := range done.Refused {
		r.tell(found[refusal.Line].path, refusal.Reason)
	}
	return r.step(ctx, func(ctx context.Context, tx *store.Tx) error {
		taken := make([]store.BookCard, len(found))
		for i, o := range found {
			before := known[hashOf(o.path)].ContactID // stays where the card is refused now
			taken[i] = store.BookCard{Card: hashOf(o.path), ETag: o.etag, ContactID: cmp.Or(done.Contacts[i], before)}
		}
		return tx.PutBookCards(ctx, book.Path, taken)
	})
}

// tell logs why a card was not taken. It is looked at again when it changes.
func (r *round) tell(path, reason string) {
	if r.told++; r.told <= maxTold {
		r.opt.Log.Warn("a card of an address book was not taken", "card", path, "reason", reason)
	}
}

// cardOf reads the text of a card as one of a file is read.
func cardOf(o object) threading.Card {
	if o.broken != "" {
		return threading.Card{Broken: o.broken}
	}
	for card, err := range cards.Read(cards.VCard, bytes.NewReader(o.text)) {
		if err == nil {
			return card
		}
	}
	return threading.Card{Broken: "it is no vCard"}
}
