package threading

import (
	"context"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

// directory is the outside CRM. Each look-up is bounded in time and gives
// not_found where the CRM knows nobody, unavailable where it does not answer.
// It must be safe for concurrent use.
type directory interface {
	ByAddress(ctx context.Context, a message.Address) (DirectoryContact, error)
	ByPhone(ctx context.Context, phone string) (DirectoryContact, error)
	ByID(ctx context.Context, id string) (DirectoryContact, error)
	Search(ctx context.Context, query string) ([]DirectoryContact, error)
}

// DirectoryContact is what the outside CRM says of a person: a claim, cleaned.
type DirectoryContact struct {
	ID      string // of the CRM; never empty
	Name    string
	Emails  []message.Address
	Phones  []string
	Company DirectoryCompany
	At      time.Time // when the CRM said so
}

// DirectoryCompany is a firm as the outside CRM knows it; without a name there
// is none.
type DirectoryCompany struct {
	ID      string
	Name    string
	Domains []string // as message.DomainKey gives them
}

// The bounds of asking the CRM.
const (
	defaultRefresh = 24 * time.Hour
	directoryTime  = 2 * time.Second // of all look-ups for one mail together
)

// word is what the CRM said before a transaction began.
type word struct {
	about   string            // the key of the address that was asked for, if one was
	contact *DirectoryContact // nil: it knows nobody, or was not asked
	failed  bool              // it could not say: it is asked again later
}

// of gives what was said about an address. Of one that turned out to be the
// customer's inside the transaction nothing was: the CRM is asked later.
func (w word) of(a message.Address) word {
	if w.about == a.Key() {
		return w
	}
	return word{about: a.Key(), failed: true}
}

// heard makes a word of the answers to questions that are put one after the
// other until one is answered.
func heard(ctx context.Context, questions ...func(context.Context) (DirectoryContact, error)) word {
	ctx, cancel := context.WithTimeout(ctx, directoryTime)
	defer cancel()
	var w word
	for _, ask := range questions {
		contact, err := ask(ctx)
		switch {
		case err == nil:
			return word{contact: &contact}
		case !store.IsNotFound(err):
			w.failed = true
		}
	}
	return w
}

// askOfMail asks the CRM for the author of a mail, where that may matter.
func (s *Service) askOfMail(ctx context.Context, m *delivered) word {
	if s.opt.Directory == nil || !m.sole || m.Message.Excess != "" || isReport(m.Message) {
		return word{about: m.author.Key()}
	}
	return s.askOfAddress(ctx, m.author)
}

// askOfAddress asks the CRM for an address that is nobody's of ours and no
// contact's, or of one whose word has grown old.
func (s *Service) askOfAddress(ctx context.Context, a message.Address) word {
	if s.opt.Directory == nil || !s.mayAsk(ctx, a) {
		return word{about: a.Key()}
	}
	questions := []func(context.Context) (DirectoryContact, error){s.byAddress(a)}
	if base, ok := withoutDetail(a); ok {
		questions = append(questions, s.byAddress(base))
	}
	said := heard(ctx, questions...)
	said.about = a.Key()
	return said
}

func (s *Service) byAddress(a message.Address) func(context.Context) (DirectoryContact, error) {
	return func(ctx context.Context) (DirectoryContact, error) { return s.opt.Directory.ByAddress(ctx, a) }
}

// mayAsk tells whether the CRM may know more of an address than the desk. While
// the store is out it is not asked: nothing can be filed anyway.
func (s *Service) mayAsk(ctx context.Context, a message.Address) bool {
	if s.Known(ctx, a.Key()) {
		return false
	}
	may := false
	err := s.db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		contact, _, err := known(ctx, tx, a)
		may = store.IsNotFound(err) || err == nil && s.wantsWord(contact)
		return hard(err)
	})
	return err == nil && may
}

// wantsWord tells whether the CRM is to be asked for a contact that is there: a
// provisional one, or one of the CRM that was not heard of for a while.
func (s *Service) wantsWord(c store.Contact) bool {
	return c.Provisional || c.ExternalID != "" && s.now().Sub(c.SyncedAt) >= s.opt.DirectoryRefresh
}

// askOfTicket asks the CRM for the customer of a ticket that an agent makes.
func (s *Service) askOfTicket(ctx context.Context, n NewTicket) word {
	switch {
	case s.opt.Directory == nil:
		return word{}
	case n.Kind == store.KindEmail && len(n.To) > 0:
		first, err := recipients("to", n.To[:1])
		if err != nil || len(first) == 0 {
			return word{}
		}
		return s.askOfText(ctx, first[0].Address)
	case n.Kind == store.KindEnquiry && n.ContactID == "" && n.Contact != nil:
		return s.askOfNamed(ctx, *n.Contact)
	}
	return word{}
}

func (s *Service) askOfText(ctx context.Context, typed string) word {
	a, err := address("email", typed)
	if err != nil {
		return word{}
	}
	return s.askOfAddress(ctx, a)
}

// askOfNamed asks by the surest thing that the agent named: id, address, phone.
func (s *Service) askOfNamed(ctx context.Context, n NewContact) word {
	id, phone := message.CleanLine(n.ExternalID), message.CleanLine(n.Phone)
	switch {
	case id != "":
		return s.askOfID(ctx, id)
	case n.Email != "":
		return s.askOfText(ctx, n.Email)
	case phone != "":
		return heard(ctx, s.byPhone(phone))
	}
	return word{}
}

func (s *Service) byPhone(phone string) func(context.Context) (DirectoryContact, error) {
	return func(ctx context.Context) (DirectoryContact, error) { return s.opt.Directory.ByPhone(ctx, phone) }
}

func (s *Service) byID(id string) func(context.Context) (DirectoryContact, error) {
	return func(ctx context.Context) (DirectoryContact, error) { return s.opt.Directory.ByID(ctx, id) }
}

// askOfID asks for a person of the CRM whom the desk doesn't know, or whose
// word has grown old.
func (s *Service) askOfID(ctx context.Context, id string) word {
	may := false
	err := s.db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		contact, err := tx.ContactByExternalID(ctx, id)
		may = store.IsNotFound(err) || err == nil && s.wantsWord(contact)
		return hard(err)
	})
	if err != nil || !may {
		return word{}
	}
	return heard(ctx, s.byID(id))
}

// SearchDirectory gives the persons that the outside CRM finds and the desk has
// no contact of. A CRM that fails finds nobody: that must not keep a caller
// from what the desk knows itself.
func (s *Service) SearchDirectory(ctx context.Context, query string) []DirectoryContact {
	if s.opt.Directory == nil {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, directoryTime)
	defer cancel()
	found, err := s.opt.Directory.Search(bounded, query)
	if err != nil {
		if !store.IsNotFound(err) {
			s.log.Debug("the CRM finds nobody", "err", err)
		}
		return nil
	}
	var others []DirectoryContact
	err = s.db.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		for _, d := range found {
			here, err := isStored(ctx, tx, d)
			if err != nil {
				return err
			}
			if !here {
				others = append(others, d)
			}
		}
		return nil
	})
	if err != nil {
		return nil // the caller's own reading says what is wrong with the store
	}
	return others
}

// isStored tells whether a person of the CRM is a contact already, by id or by
// an address.
func isStored(ctx context.Context, tx *store.Tx, d DirectoryContact) (bool, error) {
	_, err := tx.ContactByExternalID(ctx, d.ID)
	for i := 0; store.IsNotFound(err) && i < len(d.Emails); i++ {
		_, err = tx.ContactByKey(ctx, d.Emails[i].Key())
	}
	return !store.IsNotFound(err), hard(err)
}
