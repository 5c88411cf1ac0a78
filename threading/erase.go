package threading

import (
	"context"
	"maps"
	"slices"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// eraseRange is how many tickets are looked through at a time for the person.
const eraseRange = 500

// EraseContact removes a person: the mail that he wrote with its bytes and files,
// his addresses from what others wrote and from the ledger, and the contact,
// with those that went into it. The tickets stay as skeletons. What others wrote
// stays, without the person and without quotes. It gives the proof.
//
// It goes ticket by ticket, each in a transaction of its own, and remembers how
// far it came: after an error, or a kill, the same call goes on where it broke
// off. Errors: not_found for a contact that is not there, or is gone already.
func (s *Service) EraseContact(ctx context.Context, agent *store.Agent, id string) (store.Erasure, error) {
	e, err := s.beginErasure(ctx, agent, id)
	if err != nil {
		return e, err
	}
	if e.Work != nil {
		if err := s.eraseAll(ctx, &e); err != nil {
			return e, err
		}
	}
	if err := s.db.Scrub(ctx); err != nil { // what the work was is gone as well
		return e, err
	}
	e.EndedAt = s.now()
	err = s.db.Update(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.PutErasure(ctx, e) })
	if err == nil {
		s.log.Info("a contact was erased", "contact", e.ContactID, "agent", agent.ID, "tickets", e.Tickets, "activities", e.Activities)
	}
	return e, err
}

// eraseAll does what is left of an erasure, up to the contact itself.
func (s *Service) eraseAll(ctx context.Context, e *store.Erasure) error {
	if err := s.learnSubjects(ctx, e); err != nil {
		return err
	}
	if err := s.eraseTickets(ctx, e); err != nil {
		return err
	}
	if err := s.eraseElsewhere(ctx, e); err != nil {
		return err
	}
	if err := s.eraseBlobs(ctx, e); err != nil {
		return err
	}
	if err := s.db.Scrub(ctx); err != nil {
		return err
	}
	return s.advance(ctx, e, func(ctx context.Context, w *work, e *store.Erasure) error {
		e.Contacts, e.Work = len(e.Work.IDs), nil
		return nil
	})
}

// advance is one step of an erasure, in one transaction with what is noted of
// it. It goes on from what the store has, which another call may have moved.
func (s *Service) advance(ctx context.Context, e *store.Erasure, step func(ctx context.Context, w *work, e *store.Erasure) error) error {
	return s.do(ctx, func(ctx context.Context, w *work) error {
		now, err := w.tx.OpenErasure(ctx, e.ContactID)
		if err != nil {
			return err
		}
		if now.Work == nil {
			*e = now
			return nil
		}
		if err := step(ctx, w, &now); err != nil {
			return err
		}
		if err := w.tx.PutErasure(ctx, now); err != nil {
			return err
		}
		*e = now
		return nil
	})
}

// beginErasure notes whom an erasure is about, or finds the one that broke off.
func (s *Service) beginErasure(ctx context.Context, agent *store.Agent, id string) (store.Erasure, error) {
	var e store.Erasure
	err := s.do(ctx, func(ctx context.Context, w *work) (err error) {
		if err = w.tx.LockContacts(ctx); err != nil {
			return err
		}
		if e, err = w.tx.OpenErasure(ctx, id); !store.IsNotFound(err) {
			return err
		}
		contact, err := w.tx.Contact(ctx, id)
		if err != nil {
			return err
		}
		if e, err = w.tx.OpenErasure(ctx, contact.ID); !store.IsNotFound(err) {
			return err
		}
		e = store.Erasure{ID: store.NewID(), ContactID: contact.ID, AgentID: agent.ID, StartedAt: w.now}
		if e.Work, err = traitsOf(ctx, w.tx, contact); err != nil {
			return err
		}
		return w.tx.PutErasure(ctx, e)
	})
	return e, err
}

// traitsOf gives what a person is known by.
func traitsOf(ctx context.Context, tx *store.Tx, c store.Contact) (*store.ErasureWork, error) {
	known := &store.ErasureWork{}
	var err error
	if known.IDs, err = tx.ContactIDs(ctx, c.ID); err != nil {
		return nil, err
	}
	if known.Names, known.Phones, err = tx.NamesOfContacts(ctx, known.IDs); err != nil {
		return nil, err
	}
	for _, a := range c.Emails {
		known.Keys, known.Addresses = append(known.Keys, a.Key), append(known.Addresses, a.Address)
	}
	return known, nil
}

// learnSubjects notes the subjects of all mail of the person before any is gone:
// tickets that it was moved out of still have them.
func (s *Service) learnSubjects(ctx context.Context, e *store.Erasure) error {
	if e.Work == nil || e.Work.Learnt {
		return nil
	}
	subjects := map[string]bool{}
	err := s.eachTicketNaming(ctx, e, func(number int64) error {
		return s.db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
			history, err := wholeHistory(ctx, tx, number)
			for _, a := range history {
				if bare := s.keys.bareSubject(a.Subject); bare != "" && wroteIt(e.Work, a) {
					subjects[bare] = true
				}
			}
			return err
		})
	})
	if err != nil {
		return err
	}
	return s.advance(ctx, e, func(_ context.Context, _ *work, e *store.Erasure) error {
		e.Work.Subjects, e.Work.Learnt = slices.Sorted(maps.Keys(subjects)), true
		return nil
	})
}

// eraseTickets goes through all tickets, from where an earlier call broke off.
func (s *Service) eraseTickets(ctx context.Context, e *store.Erasure) error {
	return s.eachTicketNaming(ctx, e, func(number int64) error {
		if e.Work == nil {
			return nil // another call ended it meanwhile
		}
		return s.advance(ctx, e, func(ctx context.Context, w *work, e *store.Erasure) error {
			e.Work.Next = number + 1
			return (&erasing{work: w, e: e}).ticket(ctx, number)
		})
	})
}

// eachTicketNaming gives the tickets that have to do with the person, from the one
// that is next. New ones that come meanwhile are found: the last number is read
// anew.
func (s *Service) eachTicketNaming(ctx context.Context, e *store.Erasure, do func(number int64) error) error {
	if e.Work == nil {
		return nil
	}
	known := *e.Work
	for from, last := known.Next, known.Next; from <= last; from += eraseRange {
		var concerned []int64
		err := s.db.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			if last, err = tx.LastNumber(ctx); err == nil {
				concerned, err = tx.TicketsNaming(ctx, from, from+eraseRange, known)
			}
			return err
		})
		if err != nil {
			return err
		}
		for _, number := range concerned {
			if err := do(number); err != nil {
				return err
			}
		}
	}
	return nil
}

// eraseElsewhere removes what belongs to no ticket, and then the contact.
func (s *Service) eraseElsewhere(ctx context.Context, e *store.Erasure) error {
	if e.Work == nil {
		return nil
	}
	return s.advance(ctx, e, func(ctx context.Context, w *work, e *store.Erasure) error {
		if err := w.tx.LockContacts(ctx); err != nil {
			return err
		}
		if err := eraseQuarantined(ctx, w.tx, e); err != nil {
			return err
		}
		words := slices.Concat(e.Work.Keys, e.Work.Addresses)
		named := newRedactor(traits{addresses: words, names: e.Work.Names, words: e.Work.Phones}, false) // what names the address is about the person
		if err := w.tx.RewriteEverywhere(ctx, slices.Concat(words, e.Work.IDs), store.Rewriter{JSON: named.json}); err != nil {
			return err
		}
		r := newRedactor(traits{addresses: words}, false)
		if err := w.tx.RewriteQuarantine(ctx, words, store.Rewriter{Text: r.plain, JSON: r.json}); err != nil {
			return err
		}
		for _, id := range append([]string{"import"}, e.Work.IDs...) { // an import's answer names who was refused
			if err := w.tx.ForgetAnswers(ctx, "/contacts/"+id); err != nil {
				return err
			}
		}
		return w.tx.EraseContacts(ctx, e.Work.IDs, e.Work.Keys)
	})
}

// eraseQuarantined removes the person's mail from the quarantine.
func eraseQuarantined(ctx context.Context, tx *store.Tx, e *store.Erasure) error {
	theirs, err := quarantinedOf(ctx, tx, e.Work)
	if err != nil {
		return err
	}
	for _, q := range theirs {
		if err := tx.DeleteRecheck(ctx, q.ID); err != nil {
			return err
		}
		if err := tx.DeleteQuarantined(ctx, q.ID); err != nil {
			return err
		}
		e.Quarantined, e.Work.Blobs = e.Quarantined+1, append(e.Work.Blobs, q.RawHash)
	}
	return nil
}

// quarantinedOf gives the mail of the quarantine that comes from the person, by
// its envelope or by its From.
func quarantinedOf(ctx context.Context, tx *store.Tx, known *store.ErasureWork) ([]store.Quarantined, error) {
	all, err := tx.QuarantinedNaming(ctx, slices.Concat(known.Keys, known.Addresses))
	return slices.DeleteFunc(all, func(q store.Quarantined) bool {
		return !isOf(known.Keys, q.EnvelopeFrom) &&
			!slices.ContainsFunc(q.From, func(a store.Address) bool { return isOf(known.Keys, a.Address) })
	}), err
}

// eraseBlobs removes the bytes that nothing names any more.
func (s *Service) eraseBlobs(ctx context.Context, e *store.Erasure) error {
	if e.Work == nil {
		return nil
	}
	err := s.advance(ctx, e, func(ctx context.Context, w *work, e *store.Erasure) error {
		gone, files, err := w.tx.DeleteBlobs(ctx, e.Work.Blobs)
		e.Hashes, e.Work.Files, e.Work.Blobs = append(e.Hashes, gone...), append(e.Work.Files, files...), nil
		return err
	})
	if err != nil || e.Work == nil {
		return err
	}
	for _, hash := range e.Work.Files {
		if err := s.db.DropFile(ctx, hash); err != nil {
			return err
		}
	}
	return nil
}

// isOf tells whether an address is one of the person's, also with a +detail.
func isOf(keys []string, address string) bool {
	a, err := message.ParseAddress(address)
	if err != nil {
		return false
	}
	base, _ := withoutDetail(a)
	return slices.Contains(keys, a.Key()) || slices.Contains(keys, base.Key())
}
