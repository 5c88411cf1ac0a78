package gateway

import (
	"context"
	"maps"
	"reflect"
	"slices"

	"ticketgate/store"
	"ticketgate/threading"
)

// newChannel is a channel with what holds where the file says nothing. Where
// there is no status New, the first open one stands in.
func newChannel(desk *store.Desk, name string) store.Channel {
	ids := map[string]string{}
	for _, s := range desk.Statuses {
		ids[s.Name] = s.ID
	}
	c := threading.DefaultChannel(name, ids)
	for _, s := range desk.Statuses {
		if c.DefaultStatusID == "" && !s.Closed {
			c.DefaultStatusID = s.ID
		}
	}
	return c
}

// channels makes the channels, but for what refers to mail accounts: those
// refer to channels themselves.
func (a *applier) channels(ctx context.Context) error {
	for i, e := range a.file.Channels {
		have := a.desk.ChannelByName(e.Name)
		c := newChannel(a.desk, e.Name)
		if have != nil {
			c = *have
		}
		d := &difference{kind: "channel", name: shown(e.Name), added: have == nil}
		a.channelFields(d, i, &c, &a.file.Channels[i])
		if c.DefaultStatusID == "" {
			a.bad(pathOf("channel", i, "default_status"), "there is no status to begin with")
		}
		if err := a.put(d, pathOf("channel", i, "name"), func() error { return a.tx.PutChannel(ctx, c) }); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) channelFields(d *difference, i int, c *store.Channel, e *ChannelEntry) {
	setField(d, "active", &c.Active, e.Active)
	setField(d, "subject_tag", &c.SubjectTag, e.SubjectTag)
	setField(d, "stranger_followup", &c.StrangerFollowup, e.StrangerFollowup)
	setField(d, "new_subject", &c.NewSubject, e.NewSubject)
	setField(d, "followup_scope", &c.FollowupScope, e.FollowupScope)
	setField(d, "require_dkim", &c.RequireDKIM, e.RequireDKIM)
	setField(d, "tag_in_text", &c.TagInText, e.TagInText)
	setField(d, "acknowledge", &c.Acknowledge.Enabled, e.Acknowledge)
	setField(d, "ack_limit", &c.AckLimit, e.AckLimit)
	setField(d, "signature", &c.Signature, e.Signature)
	if e.ReopenDays != nil {
		days, _ := e.reopen() // checked when it was read
		if !reflect.DeepEqual(days, c.ReopenDays) {
			d.note("reopen_days", c.ReopenDays, days)
			c.ReopenDays = days
		}
	}
	a.agentLink(d, i, "default_owner", &c.DefaultOwnerID, e.DefaultOwner)
	a.agentLink(d, i, "default_responsible", &c.DefaultResponsibleID, e.DefaultResponsible)
	a.statusLink(d, i, "default_status", &c.DefaultStatusID, e.DefaultStatus)
	a.statusLink(d, i, "on_incoming", &c.OnIncoming, e.OnIncoming)
	a.statusLink(d, i, "on_outgoing", &c.OnOutgoing, e.OnOutgoing)
	a.allowedStatuses(d, i, c, e.Statuses)
	a.responsibilities(d, i, c, e.Responsibilities)
	if err := threading.CheckStatuses(a.desk, *c); err != nil {
		a.bad(pathOf("channel", i, "statuses"), "%v", err)
	}
}

// responsibilities takes over whose turn it is, by the names of statuses.
func (a *applier) responsibilities(d *difference, i int, c *store.Channel, want map[string]string) {
	if want == nil {
		return
	}
	turns := map[string]string{}
	for name, turn := range want {
		s := a.desk.StatusByName(name)
		if s == nil {
			a.bad(pathOf("channel", i, "responsibilities"), "there is no status %q", name)
			return
		}
		turns[s.ID] = turn
	}
	if !maps.Equal(turns, c.Responsibilities) {
		have := map[string]string{}
		for id, turn := range c.Responsibilities {
			have[a.statusName(id)] = turn
		}
		d.note("responsibilities", have, want)
		c.Responsibilities = turns
	}
}

// allowedStatuses takes over a list of statuses by their names.
func (a *applier) allowedStatuses(d *difference, i int, c *store.Channel, want *[]string) {
	if want == nil {
		return
	}
	var have, ids []string
	for _, id := range c.Statuses {
		have = append(have, a.statusName(id))
	}
	setList(d, "statuses", &have, want)
	for _, name := range *want {
		s := a.desk.StatusByName(name)
		if s == nil {
			a.bad(pathOf("channel", i, "statuses"), "there is no status %q", name)
			return
		}
		ids = append(ids, s.ID)
	}
	c.Statuses = ids
}

func (a *applier) statusName(id string) string {
	if s := a.desk.Status(id); s != nil {
		return s.Name
	}
	return ""
}

func (a *applier) agentName(id string) string {
	if agent := a.desk.Agent(id); agent != nil {
		return agent.Email
	}
	return ""
}

func (a *applier) statusLink(d *difference, i int, field string, have, want *string) {
	setLink(d, field, have, want, func(name string) string {
		if s := a.desk.StatusByName(name); s != nil {
			return s.ID
		}
		a.bad(pathOf("channel", i, field), "there is no status %q", name)
		return ""
	}, a.statusName)
}

func (a *applier) agentLink(d *difference, i int, field string, have, want *string) {
	setLink(d, field, have, want, func(email string) string {
		if agent := a.desk.AgentByKey(keyOf(email)); agent != nil {
			return agent.ID
		}
		a.bad(pathOf("channel", i, field), "there is no agent %q", email)
		return ""
	}, a.agentName)
}

// channelLinks ties channels to the account that they send with, and to the
// template that they acknowledge with.
func (a *applier) channelLinks(ctx context.Context) error {
	for i, e := range a.file.Channels {
		c := *a.desk.ChannelByName(e.Name)
		d := &difference{kind: "channel", name: shown(e.Name)}
		setLink(d, "account", &c.AccountID, e.Account, func(address string) string {
			if account := a.desk.AccountByKey(keyOf(address)); account != nil {
				return account.ID
			}
			a.bad(pathOf("channel", i, "account"), "there is no mail account %q", address)
			return ""
		}, a.accountName)
		a.ackTemplate(d, i, &c, e.AckTemplate)
		a.channelTimes(d, i, &c, &a.file.Channels[i])
		if err := a.put(d, pathOf("channel", i, "account"), func() error { return a.tx.PutChannel(ctx, c) }); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) ackTemplate(d *difference, i int, c *store.Channel, want *string) {
	path := pathOf("channel", i, "acknowledge_template")
	setLink(d, "acknowledge_template", &c.Acknowledge.TemplateID, want, func(name string) string {
		t := a.desk.TemplateByName(name)
		if t == nil {
			a.bad(path, "there is no template %q", name)
			return ""
		}
		if err := threading.CheckAcknowledgement(*t); err != nil {
			a.bad(path, "template %q: %v", name, err)
		}
		return t.ID
	}, func(id string) string {
		if t := a.desk.Template(id); t != nil {
			return t.Name
		}
		return ""
	})
}

func (a *applier) accountName(id string) string {
	if account := a.desk.Account(id); account != nil {
		return account.Address
	}
	return ""
}

func (a *applier) subscriptions(ctx context.Context) error {
	for i, e := range a.file.Channels {
		channel := a.desk.ChannelByName(e.Name)
		for _, s := range e.Subscriptions {
			path := pathOf("channel", i, "subscriptions")
			agent := a.desk.AgentByKey(keyOf(s.Agent))
			if agent == nil {
				a.bad(path, "there is no agent %q", s.Agent)
				continue
			}
			d := &difference{kind: "channel", name: shown(e.Name)}
			have := a.desk.Subscription(channel.ID, agent.ID)
			if have != s.Type {
				d.note("subscription of "+agent.Email, have, s.Type)
			}
			err := a.put(d, path, func() error {
				return a.tx.PutSubscription(ctx, store.Subscription{ChannelID: channel.ID, AgentID: agent.ID, Type: s.Type})
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *applier) accounts(ctx context.Context) error {
	for i, e := range a.file.Accounts {
		key := keyOf(e.Address)
		have := a.desk.AccountByKey(key)
		if have != nil && have.Key != key {
			a.bad(pathOf("mail_account", i, "address"), "is an alias of %s", have.Address)
			continue
		}
		m := store.MailAccount{
			ID: store.NewID(), Type: store.AccountTicket, Address: e.Address, Key: key,
			Active: true, State: "untested", NewTicketLimit: 100, Sign: true, CreatedAt: a.now,
		}
		if have != nil {
			m = *have
		}
		d := &difference{kind: "mail account", name: e.Address, added: have == nil}
		a.accountFields(d, i, &m, &a.file.Accounts[i])
		if err := a.put(d, pathOf("mail_account", i, "address"), func() error { return a.tx.PutAccount(ctx, m) }); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) accountFields(d *difference, i int, m *store.MailAccount, e *AccountEntry) {
	setField(d, "address", &m.Address, &e.Address)
	setField(d, "name", &m.Name, e.Name)
	setField(d, "type", &m.Type, e.Type)
	setField(d, "active", &m.Active, e.Active)
	setField(d, "new_ticket_limit", &m.NewTicketLimit, e.NewTicketLimit)
	setField(d, "max_message_bytes", &m.MaxMessageBytes, e.MaxMessageBytes)
	setField(d, "plus_addressing", &m.PlusAddressing, e.PlusAddressing)
	setField(d, "bounce_address", &m.BounceAddress, e.BounceAddress)
	setField(d, "sign", &m.Sign, e.Sign)
	setField(d, "messages_per_minute", &m.MessagesPerMinute, e.MessagesPerMinute)
	if e.TrustedSenders != nil {
		senders := make([]store.TrustedSender, 0, len(*e.TrustedSenders))
		for _, s := range *e.TrustedSenders {
			senders = append(senders, store.TrustedSender(s))
		}
		if !slices.Equal(m.TrustedSenders, senders) {
			d.note("trusted_senders", m.TrustedSenders, senders)
			m.TrustedSenders = senders
		}
	}
	setList(d, "aliases", &m.Aliases, e.Aliases)
	m.AliasKeys = nil
	for _, alias := range m.Aliases {
		m.AliasKeys = append(m.AliasKeys, keyOf(alias))
	}
	setLink(d, "default_channel", &m.DefaultChannelID, e.DefaultChannel, func(name string) string {
		if c := a.desk.ChannelByName(name); c != nil {
			return c.ID
		}
		a.bad(pathOf("mail_account", i, "default_channel"), "there is no channel %q", name)
		return ""
	}, a.channelName)
	if m.Type == store.AccountTicket && m.DefaultChannelID == "" {
		a.bad(pathOf("mail_account", i, "default_channel"), "is missing: an account of the type ticket needs one")
	}
}

func (a *applier) channelName(id string) string {
	if c := a.desk.Channel(id); c != nil {
		return c.Name
	}
	return ""
}
