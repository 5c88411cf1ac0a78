package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"ticketgate/store"
	"ticketgate/threading/message"
)

func (a *api) registerAccounts() {
	find := a.inDesk(func(d *store.Desk, id string) bool { return d.Account(id) != nil })
	add(a, route{id: "list-mail-accounts", method: http.MethodGet, path: "/mail-accounts", tag: tagDesk,
		summary: "Mail accounts: the desk's own addresses"}, a.listAccounts)
	add(a, route{id: "create-mail-account", method: http.MethodPost, path: "/mail-accounts", tag: tagAdmin,
		status: http.StatusCreated, summary: "Make a mail account"}, a.createAccount)
	add(a, route{id: "get-mail-account", method: http.MethodGet, path: "/mail-accounts/{id}", tag: tagDesk, find: find,
		summary: "One mail account"}, a.getAccount)
	add(a, route{id: "patch-mail-account", method: http.MethodPatch, path: "/mail-accounts/{id}", tag: tagAdmin, find: find,
		summary: "Change a mail account"}, a.patchAccount)
	add(a, route{id: "delete-mail-account", method: http.MethodDelete, path: "/mail-accounts/{id}", tag: tagAdmin, find: find,
		summary: "Remove a mail account that nothing uses"}, a.deleteAccount)
}

// accountShape is a mail account as clients read it.
type accountShape struct {
	ID                string     `json:"id"`
	Name              string     `json:"name"`
	Type              string     `json:"type"`
	Address           string     `json:"address"`
	Aliases           []string   `json:"aliases"`
	DefaultChannelID  *string    `json:"default_channel_id"`
	Active            bool       `json:"active"`
	State             string     `json:"state" doc:"ok, error, off or untested"`
	StateReason       string     `json:"state_reason"`
	LastReceivedAt    *time.Time `json:"last_received_at"`
	LastSentAt        *time.Time `json:"last_sent_at"`
	NewTicketLimit    int        `json:"new_ticket_limit"`
	MaxMessageBytes   int64      `json:"max_message_bytes"`
	PlusAddressing    bool       `json:"plus_addressing"`
	BounceAddress     *string    `json:"bounce_address"`
	Sign              bool       `json:"sign"`
	MessagesPerMinute int        `json:"messages_per_minute"`

	TrustedSenders []store.TrustedSender `json:"trusted_senders"`
}

func accountOf(m store.MailAccount, times store.AccountTimes) accountShape {
	return accountShape{
		ID: m.ID, Name: m.Name, Type: m.Type, Address: m.Address, Aliases: some(m.Aliases),
		DefaultChannelID: orNull(m.DefaultChannelID), Active: m.Active, State: accountState(m, times),
		StateReason: m.StateReason, LastReceivedAt: when(times.Received), LastSentAt: when(times.Sent),
		NewTicketLimit: m.NewTicketLimit, MaxMessageBytes: m.MaxMessageBytes, PlusAddressing: m.PlusAddressing,
		BounceAddress: orNull(m.BounceAddress), Sign: m.Sign, MessagesPerMinute: m.MessagesPerMinute,
		TrustedSenders: some(m.TrustedSenders),
	}
}

// accountState is what is known of an account: an error that was found stays
// until it is mended, and one that carried mail is right.
func accountState(m store.MailAccount, times store.AccountTimes) string {
	switch {
	case !m.Active:
		return "off"
	case m.State == "error":
		return "error"
	case m.State == "ok", !times.Received.IsZero(), !times.Sent.IsZero():
		return "ok"
	}
	return "untested"
}

// accountInput is the body of POST and PATCH.
type accountInput struct {
	Name              opt[string]               `json:"name" maxLength:"200"`
	Type              opt[string]               `json:"type" enum:"ticket,system"`
	Address           opt[string]               `json:"address" maxLength:"400"`
	Aliases           opt[[]string]             `json:"aliases" maxItems:"200"`
	DefaultChannelID  opt[string]               `json:"default_channel_id" maxLength:"64" doc:"required for type ticket"`
	Active            opt[bool]                 `json:"active" doc:"default true"`
	NewTicketLimit    opt[int]                  `json:"new_ticket_limit" minimum:"0" maximum:"1000000"`
	MaxMessageBytes   opt[int64]                `json:"max_message_bytes" minimum:"0" maximum:"1073741824"`
	PlusAddressing    opt[bool]                 `json:"plus_addressing"`
	BounceAddress     opt[string]               `json:"bounce_address" maxLength:"400"`
	Sign              opt[bool]                 `json:"sign" doc:"default true"`
	MessagesPerMinute opt[int]                  `json:"messages_per_minute" minimum:"0" maximum:"1000000"`
	TrustedSenders    opt[[]trustedSenderInput] `json:"trusted_senders" maxItems:"200" doc:"mailers whose verified mail is taken as it says: a shop's form, whose Reply-To is the customer"`
	Auth              opt[string]               `json:"auth" enum:"none" doc:"how the account logs in: it goes out by the smarthost"`
}

type trustedSenderInput struct {
	Address  string `json:"address" required:"true" maxLength:"400"`
	Customer string `json:"customer" enum:"from,reply_to" default:"from" doc:"where the customer stands"`
}

// apply changes an account and says which fields it can't take.
func (in *accountInput) apply(desk *store.Desk, m *store.MailAccount) []fieldError {
	var errs []fieldError
	in.Type.must(&m.Type, "type", &errs)
	in.Active.must(&m.Active, "active", &errs)
	in.Sign.must(&m.Sign, "sign", &errs)
	in.NewTicketLimit.must(&m.NewTicketLimit, "new_ticket_limit", &errs)
	in.Name.into(&m.Name)
	in.DefaultChannelID.into(&m.DefaultChannelID)
	in.MaxMessageBytes.into(&m.MaxMessageBytes)
	in.PlusAddressing.into(&m.PlusAddressing)
	in.MessagesPerMinute.into(&m.MessagesPerMinute)
	errs = append(errs, in.applyAddresses(m)...)
	if m.Type == store.AccountTicket && m.DefaultChannelID == "" {
		errs = append(errs, fieldError{Field: "default_channel_id", Message: "is required for type ticket"})
	}
	if m.DefaultChannelID != "" && desk.Channel(m.DefaultChannelID) == nil {
		errs = append(errs, fieldError{Field: "default_channel_id", Message: "there is no such channel"})
	}
	if m.Name == "" {
		m.Name = m.Address
	}
	return errs
}

func (in *accountInput) applyAddresses(m *store.MailAccount) []fieldError {
	var errs []fieldError
	in.Address.must(&m.Address, "address", &errs)
	in.Aliases.into(&m.Aliases)
	in.BounceAddress.into(&m.BounceAddress)
	m.Address, m.Key = address("address", m.Address, &errs)
	if m.BounceAddress != "" {
		m.BounceAddress, _ = address("bounce_address", m.BounceAddress, &errs)
	}
	aliases := make([]string, 0, len(m.Aliases))
	keys := make([]string, 0, len(m.Aliases))
	for i, alias := range m.Aliases {
		plain, key := address("aliases["+strconv.Itoa(i)+"]", alias, &errs)
		aliases, keys = append(aliases, plain), append(keys, key)
	}
	m.Aliases, m.AliasKeys = aliases, keys
	if !in.TrustedSenders.Sent {
		return errs
	}
	m.TrustedSenders = nil
	for i, sender := range in.TrustedSenders.Value {
		plain, _ := address("trusted_senders["+strconv.Itoa(i)+"].address", sender.Address, &errs)
		if sender.Customer == "" {
			sender.Customer = store.CustomerFrom
		}
		m.TrustedSenders = append(m.TrustedSenders, store.TrustedSender{Address: plain, Customer: sender.Customer})
	}
	return errs
}

// address checks a single plain mailbox and gives it in NFC, with the key that
// it is compared by.
func address(field, typed string, errs *[]fieldError) (plain, key string) {
	parsed, err := message.ParseAddress(typed)
	if err != nil {
		text := "is not an e-mail address"
		if typed == "" {
			text = "is required"
		}
		*errs = append(*errs, fieldError{Field: field, Message: text})
		return "", ""
	}
	return parsed.String(), parsed.Key()
}

func (a *api) listAccounts(ctx context.Context, _ *call, in *Paging) (*page[accountShape], error) {
	return view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (*page[accountShape], error) {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return nil, err
		}
		times, err := tx.AccountTimes(ctx)
		if err != nil {
			return nil, err
		}
		return pageOf(newestFirst(desk.Accounts), *in, func(m *store.MailAccount) string { return m.ID },
			func(m store.MailAccount) accountShape { return accountOf(m, times[m.ID]) })
	})
}

func (a *api) getAccount(ctx context.Context, _ *call, in *OnThing) (*answer[accountShape], error) {
	s, err := view(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (accountShape, error) {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return accountShape{}, err
		}
		m := desk.Account(in.ID)
		if m == nil {
			return accountShape{}, notFound()
		}
		return shownAccount(ctx, tx, *m)
	})
	return &answer[accountShape]{Body: s}, err
}

func shownAccount(ctx context.Context, tx *store.Tx, m store.MailAccount) (accountShape, error) {
	times, err := tx.AccountTimes(ctx)
	return accountOf(m, times[m.ID]), err
}

type newAccount struct {
	Body accountInput
}

func (a *api) createAccount(ctx context.Context, _ *call, in *newAccount) (*created[accountShape], error) {
	s, err := a.putAccount(ctx, &in.Body, func(*store.Desk) (store.MailAccount, error) {
		return store.MailAccount{
			ID: store.NewID(), Type: store.AccountTicket, Active: true, Sign: true, State: "untested",
			NewTicketLimit: 100, CreatedAt: a.Now(),
		}, nil
	})
	return &created[accountShape]{Location: Prefix + "/mail-accounts/" + s.ID, Body: s}, err
}

type accountPatch struct {
	OnThing
	Body accountInput
}

func (a *api) patchAccount(ctx context.Context, _ *call, in *accountPatch) (*answer[accountShape], error) {
	s, err := a.putAccount(ctx, &in.Body, func(desk *store.Desk) (store.MailAccount, error) {
		if m := desk.Account(in.ID); m != nil {
			return *m, nil
		}
		return store.MailAccount{}, notFound()
	})
	return &answer[accountShape]{Body: s}, err
}

func (a *api) putAccount(ctx context.Context, in *accountInput, start func(*store.Desk) (store.MailAccount, error)) (accountShape, error) {
	return update(ctx, a.DB, func(ctx context.Context, tx *store.Tx) (accountShape, error) {
		desk, err := tx.Desk(ctx)
		if err != nil {
			return accountShape{}, err
		}
		m, err := start(desk)
		if err != nil {
			return accountShape{}, err
		}
		if err := refused(in.apply(desk, &m)); err != nil {
			return accountShape{}, err
		}
		concerns(ctx, "/mail-accounts/"+m.ID)
		if err := tx.PutAccount(ctx, m); err != nil {
			return accountShape{}, err
		}
		return shownAccount(ctx, tx, m)
	})
}

func (a *api) deleteAccount(ctx context.Context, _ *call, in *OnThing) (*nothing, error) {
	return a.remove(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.DeleteAccount(ctx, in.ID) })
}
