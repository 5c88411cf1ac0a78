package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"ticketgate/gateway/login"
	"ticketgate/gateway/webhook"
	"ticketgate/store"
	"ticketgate/threading/message"
)

// DeskFile is a desk as a TOML file describes it. Things are named by their
// natural names: channel and status by name, account, agent and contact by
// address, company by name. What an entry leaves out stays as it is.
type DeskFile struct {
	Statuses  []StatusEntry   `toml:"status"`
	Markers   []MarkerEntry   `toml:"marker"`
	Templates []TemplateEntry `toml:"template"`
	Fields    []FieldEntry    `toml:"custom_field"`
	Calendars []CalendarEntry `toml:"calendar"`
	Levels    []LevelEntry    `toml:"service_level"`
	Rules     []RuleEntry     `toml:"rule"`
	Channels  []ChannelEntry  `toml:"channel"`
	Accounts  []AccountEntry  `toml:"mail_account"`
	Agents    []AgentEntry    `toml:"agent"`
	Companies []CompanyEntry  `toml:"company"`
	Contacts  []ContactEntry  `toml:"contact"`
	Webhooks  []WebhookEntry  `toml:"webhook"`
	Views     []ViewEntry     `toml:"view"`

	document *document
	problems []error
}

// StatusEntry is one [[status]].
type StatusEntry struct {
	Name           string  `toml:"name"`
	Responsibility *string `toml:"responsibility"`
	Closed         *bool   `toml:"closed"`
	Position       *int    `toml:"position"`
}

// MarkerEntry is one [[marker]].
type MarkerEntry struct {
	Name   string  `toml:"name"`
	Colour *string `toml:"colour"` // #rrggbb
}

// TemplateEntry is one [[template]].
type TemplateEntry struct {
	Name     string    `toml:"name"`
	Subject  *string   `toml:"subject"`
	Text     *string   `toml:"text"`
	HTML     *string   `toml:"html"`
	Channels *[]string `toml:"channels"` // where it is offered; none: everywhere
}

// FieldEntry is one [[custom_field]].
type FieldEntry struct {
	Key      string    `toml:"key"`
	Name     *string   `toml:"name"`
	Type     *string   `toml:"type"`
	Options  *[]string `toml:"options"`
	Channels *[]string `toml:"channels"` // where tickets have it; none: everywhere
}

// CalendarEntry is one [[calendar]].
type CalendarEntry struct {
	Name     string              `toml:"name"`
	Timezone *string             `toml:"timezone"`
	Hours    map[string][]string `toml:"hours"` // by mon to sun: ranges such as 09:00-17:00
	Holidays *[]string           `toml:"holidays"`
}

// LevelEntry is one [[service_level]].
type LevelEntry struct {
	Name           string  `toml:"name"`
	RespondMinutes *int    `toml:"respond_minutes"`
	ResolveMinutes *int    `toml:"resolve_minutes"`
	WarnMinutes    *int    `toml:"warn_minutes"`
	Calendar       *string `toml:"calendar"`
	Manager        *string `toml:"manager"` // an agent's address
}

// EscalationEntry is a channel's escalation.
type EscalationEntry struct {
	AfterMinutes int      `toml:"after_minutes"`
	FreeOwner    bool     `toml:"free_owner"`
	ToChannel    string   `toml:"to_channel"`
	Notify       []string `toml:"notify"` // agents' addresses
}

// ChannelEntry is one [[channel]].
type ChannelEntry struct {
	Name               string              `toml:"name"`
	Active             *bool               `toml:"active"`
	DefaultOwner       *string             `toml:"default_owner"`
	DefaultResponsible *string             `toml:"default_responsible"`
	SubjectTag         *string             `toml:"subject_tag"`
	StrangerFollowup   *string             `toml:"stranger_followup"`
	NewSubject         *string             `toml:"new_subject"`
	FollowupScope      *string             `toml:"followup_scope"`
	RequireDKIM        *string             `toml:"require_dkim"`
	TagInText          *bool               `toml:"tag_in_text"`
	ReopenDays         any                 `toml:"reopen_days"` // a number, or "always"
	OnIncoming         *string             `toml:"on_incoming"`
	OnOutgoing         *string             `toml:"on_outgoing"`
	DefaultStatus      *string             `toml:"default_status"`
	Acknowledge        *bool               `toml:"acknowledge"`
	AckTemplate        *string             `toml:"acknowledge_template"`
	AckLimit           *int                `toml:"ack_limit"`
	Signature          *string             `toml:"signature"`
	Account            *string             `toml:"account"`
	Statuses           *[]string           `toml:"statuses"`
	ServiceLevel       *string             `toml:"service_level"`
	Escalation         *EscalationEntry    `toml:"escalation"`
	Responsibilities   map[string]string   `toml:"responsibilities"` // us or customer, by the name of an open status
	Subscriptions      []SubscriptionEntry `toml:"subscriptions"`
}

// SubscriptionEntry ties an agent to the channel that it stands in.
type SubscriptionEntry struct {
	Agent string `toml:"agent"`
	Type  string `toml:"type"` // standard where it is left out
}

// AccountEntry is one [[mail_account]].
type AccountEntry struct {
	Address           string    `toml:"address"`
	Name              *string   `toml:"name"`
	Type              *string   `toml:"type"`
	Aliases           *[]string `toml:"aliases"`
	DefaultChannel    *string   `toml:"default_channel"`
	Active            *bool     `toml:"active"`
	NewTicketLimit    *int      `toml:"new_ticket_limit"`
	MaxMessageBytes   *int64    `toml:"max_message_bytes"`
	PlusAddressing    *bool     `toml:"plus_addressing"`
	BounceAddress     *string   `toml:"bounce_address"`
	Sign              *bool     `toml:"sign"`
	MessagesPerMinute *int      `toml:"messages_per_minute"`

	TrustedSenders *[]TrustedSenderEntry `toml:"trusted_senders"`
}

// TrustedSenderEntry is a mailer in the account that believes it.
type TrustedSenderEntry struct {
	Address  string `toml:"address"`
	Customer string `toml:"customer"` // from where it is left out
}

// AgentEntry is one [[agent]].
type AgentEntry struct {
	Email    string            `toml:"email"`
	Name     *string           `toml:"name"`
	Role     *string           `toml:"role"`
	Active   *bool             `toml:"active"`
	Password *string           `toml:"password"` // file:/path or env:NAME
	Notify   map[string]string `toml:"notify"`
	Timezone *string           `toml:"timezone"`

	password Secret
}

// CompanyEntry is one [[company]].
type CompanyEntry struct {
	Name         string    `toml:"name"`
	Domains      *[]string `toml:"domains"`
	Parent       *string   `toml:"parent"`
	ExternalID   *string   `toml:"external_id"`
	ServiceLevel *string   `toml:"service_level"`
}

// ContactEntry is one [[contact]]; its first address is its name.
type ContactEntry struct {
	Emails       []string  `toml:"emails"`
	Name         *string   `toml:"name"`
	Phones       *[]string `toml:"phones"`
	Company      *string   `toml:"company"`
	ExternalID   *string   `toml:"external_id"`
	ServiceLevel *string   `toml:"service_level"`
}

// WebhookEntry is one [[webhook]].
type WebhookEntry struct {
	Name     string    `toml:"name"`
	URL      *string   `toml:"url"`
	Events   *[]string `toml:"events"`
	Channels *[]string `toml:"channels"` // of whose tickets it is told; none: of all
	Active   *bool     `toml:"active"`
	Secret   *string   `toml:"secret"` // file:/path or env:NAME; left out, one is made

	secret Secret
}

// ReadDesk reads a desk file; name stands in errors. The error lists every
// finding that needs no look at the store, each with file and line.
func ReadDesk(name string, data []byte) (*DeskFile, error) {
	f := &DeskFile{}
	decoder := toml.NewDecoder(bytes.NewReader(data))
	if err := decoder.DisallowUnknownFields().Decode(f); err != nil {
		return nil, tomlError(name, err)
	}
	var err error
	if f.document, err = parseTOML(name, data); err != nil {
		return nil, err
	}
	f.checkNames()
	f.checkWords()
	f.readPasswords()
	f.checkWebhooks()
	f.checkViews()
	return f, errors.Join(f.problems...)
}

var itemNumber = regexp.MustCompile(`\.\d+`)

// place gives file, line and key of a path such as channel.0.name.
func (f *DeskFile) place(path string) string {
	shown := itemNumber.ReplaceAllString(path, "")
	for p := path; p != ""; {
		if line, ok := f.document.lines[p]; ok {
			return at(f.document.name, line) + ": " + shown
		}
		p = p[:max(strings.LastIndexByte(p, '.'), 0)]
	}
	return f.document.name + ": " + shown
}

func (f *DeskFile) bad(path, format string, args ...any) {
	f.problems = append(f.problems, fmt.Errorf("%s: %s", f.place(path), fmt.Sprintf(format, args...)))
}

// pathOf names a key of an entry.
func pathOf(kind string, i int, field string) string {
	return kind + "." + strconv.Itoa(i) + "." + field
}

// checkNames demands that each entry has a name, and none another one's.
func (f *DeskFile) checkNames() {
	for i, e := range f.Statuses {
		f.checkName("status", i, "name", e.Name, seen(f.Statuses[:i], func(o StatusEntry) string { return o.Name }))
	}
	for i, e := range f.Markers {
		f.checkName("marker", i, "name", e.Name, seen(f.Markers[:i], func(o MarkerEntry) string { return o.Name }))
	}
	for i, e := range f.Templates {
		f.checkName("template", i, "name", e.Name, seen(f.Templates[:i], func(o TemplateEntry) string { return o.Name }))
	}
	for i, e := range f.Rules {
		f.checkName("rule", i, "name", e.Name, seen(f.Rules[:i], func(o RuleEntry) string { return o.Name }))
	}
	for i, e := range f.Fields {
		f.checkName("custom_field", i, "key", e.Key, seen(f.Fields[:i], func(o FieldEntry) string { return o.Key }))
	}
	for i, e := range f.Calendars {
		f.checkName("calendar", i, "name", e.Name, seen(f.Calendars[:i], func(o CalendarEntry) string { return o.Name }))
	}
	for i, e := range f.Levels {
		f.checkName("service_level", i, "name", e.Name, seen(f.Levels[:i], func(o LevelEntry) string { return o.Name }))
	}
	for i, e := range f.Channels {
		f.checkName("channel", i, "name", e.Name, seen(f.Channels[:i], func(o ChannelEntry) string { return o.Name }))
	}
	for i, e := range f.Webhooks {
		f.checkName("webhook", i, "name", e.Name, seen(f.Webhooks[:i], func(o WebhookEntry) string { return o.Name }))
	}
	for i, e := range f.Companies {
		f.checkName("company", i, "name", e.Name, seen(f.Companies[:i], func(o CompanyEntry) string { return o.Name }))
	}
	for i, e := range f.Accounts {
		f.checkAddress("mail_account", i, "address", e.Address, seen(f.Accounts[:i], func(o AccountEntry) string { return keyOf(o.Address) }))
	}
	for i, e := range f.Agents {
		f.checkAddress("agent", i, "email", e.Email, seen(f.Agents[:i], func(o AgentEntry) string { return keyOf(o.Email) }))
	}
	for i, e := range f.Contacts {
		if len(e.Emails) == 0 {
			f.bad(pathOf("contact", i, "emails"), "is missing: at least one address")
		}
		for _, address := range e.Emails {
			f.checkAddress("contact", i, "emails", address, nil)
		}
	}
}

func seen[T any](before []T, name func(T) string) []string {
	all := make([]string, len(before))
	for i := range before {
		all[i] = name(before[i])
	}
	return all
}

func (f *DeskFile) checkName(kind string, i int, field, name string, before []string) {
	switch {
	case strings.TrimSpace(name) == "" || strings.TrimSpace(name) != name:
		f.bad(pathOf(kind, i, field), "is missing, or has blanks around it")
	case slices.Contains(before, name):
		f.bad(pathOf(kind, i, field), "%q stands here twice", name)
	}
}

func (f *DeskFile) checkAddress(kind string, i int, field, address string, before []string) {
	key := keyOf(address)
	switch {
	case key == "":
		f.bad(pathOf(kind, i, field), "%q is no mail address", address)
	case slices.Contains(before, key):
		f.bad(pathOf(kind, i, field), "%q stands here twice", address)
	}
}

// keyOf gives the comparison form of an address, or "".
func keyOf(address string) string {
	a, err := message.ParseAddress(address)
	if err != nil {
		return ""
	}
	return a.Key()
}

// checkWords holds the fields that take one of some words against those.
func (f *DeskFile) checkWords() {
	for i, e := range f.Statuses {
		f.word("status", i, "responsibility", e.Responsibility, "us", "customer", "none")
	}
	for i, e := range f.Channels {
		f.word("channel", i, "subject_tag", e.SubjectTag, "prepend", "append", "off")
		f.word("channel", i, "stranger_followup", e.StrangerFollowup, "hold", "append", "new")
		f.word("channel", i, "new_subject", e.NewSubject, store.NewSubjectSame, store.NewSubjectSuggest)
		f.word("channel", i, "followup_scope", e.FollowupScope, "contact", "company", "participants")
		f.word("channel", i, "require_dkim", e.RequireDKIM, "off", "quarantine", "reject")
		if _, err := e.reopen(); err != nil {
			f.bad(pathOf("channel", i, "reopen_days"), "%v", err)
		}
		for j := range e.Subscriptions {
			s := &f.Channels[i].Subscriptions[j]
			if s.Type == "" {
				s.Type = store.SubscriptionStandard
			}
			f.word("channel", i, "subscriptions", &s.Type, store.SubscriptionStandard, store.SubscriptionInformal)
		}
	}
	for i, e := range f.Accounts {
		f.word("mail_account", i, "type", e.Type, store.AccountTicket, store.AccountSystem)
		if e.BounceAddress != nil && *e.BounceAddress != "" {
			f.checkAddress("mail_account", i, "bounce_address", *e.BounceAddress, nil)
		}
		f.checkTrustedSenders(i, e.TrustedSenders)
		if e.Aliases != nil {
			for _, alias := range *e.Aliases {
				f.checkAddress("mail_account", i, "aliases", alias, nil)
			}
		}
	}
	for i, e := range f.Agents {
		f.word("agent", i, "role", e.Role, store.RoleAgent, store.RoleAdmin)
	}
}

func (f *DeskFile) checkTrustedSenders(i int, list *[]TrustedSenderEntry) {
	if list == nil {
		return
	}
	for j := range *list {
		s := &(*list)[j]
		if s.Customer == "" {
			s.Customer = store.CustomerFrom
		}
		f.checkAddress("mail_account", i, "trusted_senders", s.Address, nil)
		f.word("mail_account", i, "trusted_senders", &s.Customer, store.CustomerFrom, store.CustomerReplyTo)
	}
}

func (f *DeskFile) word(kind string, i int, field string, value *string, words ...string) {
	if value != nil && !slices.Contains(words, *value) {
		f.bad(pathOf(kind, i, field), "%q is none of %s", *value, strings.Join(words, ", "))
	}
}

// reopen reads reopen_days: nil stands for always.
func (e *ChannelEntry) reopen() (*int, error) {
	switch v := e.ReopenDays.(type) {
	case nil:
		return nil, nil
	case string:
		if v == "always" {
			return nil, nil
		}
	case int64:
		if v >= 0 && v <= 36500 {
			days := int(v)
			return &days, nil
		}
	}
	return nil, errors.New(`must be a number of days, or "always"`)
}

// readPasswords follows the references; a password itself has no place in a
// file that is passed around.
func (f *DeskFile) readPasswords() {
	for i := range f.Agents {
		e := &f.Agents[i]
		if e.Password == nil {
			continue
		}
		path := pathOf("agent", i, "password")
		if e.password = f.referred(path, *e.Password); e.password.Reveal() == "" {
			continue
		}
		if fault := login.PasswordFault(e.password.Reveal(), e.Email); fault != "" {
			f.bad(path, "%s", fault)
		}
	}
}

// referred follows a reference to a secret.
func (f *DeskFile) referred(path, reference string) Secret {
	if !strings.HasPrefix(reference, "file:") && !strings.HasPrefix(reference, "env:") {
		f.bad(path, "must be given as file:/path or env:NAME")
		return Secret{}
	}
	plain, err := revealed(reference)
	if err != nil {
		f.bad(path, "%v", err)
	}
	return NewSecret(plain)
}

// checkWebhooks reads the secrets of webhooks and holds their events against
// those that there are.
func (f *DeskFile) checkWebhooks() {
	for i := range f.Webhooks {
		e := &f.Webhooks[i]
		if e.Secret != nil {
			path := pathOf("webhook", i, "secret")
			if e.secret = f.referred(path, *e.Secret); e.secret.Reveal() != "" {
				if err := webhook.CheckSecret(e.secret.Reveal()); err != nil {
					f.bad(path, "%v", err)
				}
			}
		}
		if e.Events == nil {
			continue
		}
		for _, kind := range *e.Events {
			if !slices.Contains(store.WebhookEvents(), store.EventKind(kind)) {
				f.bad(pathOf("webhook", i, "events"), "%q is no event that webhooks are told of", kind)
			}
		}
	}
}
