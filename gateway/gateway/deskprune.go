package gateway

import (
	"context"
	"slices"
	"strings"

	"ticketgate/store"
)

// prune removes what the file doesn't name. What refers comes before what is
// referred to.
func (a *applier) prune(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		a.pruneViews,
		func(ctx context.Context) error { return a.rules().prune(ctx, a) },
		a.pruneSubscriptions, a.pruneAccounts, a.pruneChannels, a.pruneContacts, a.pruneCompanies,
		func(ctx context.Context) error { return a.serviceLevels().prune(ctx, a) },
		a.pruneAgents, a.pruneStatuses,
		func(ctx context.Context) error { return a.markers().prune(ctx, a) },
		func(ctx context.Context) error { return a.templates().prune(ctx, a) },
		func(ctx context.Context) error { return a.customFields().prune(ctx, a) },
		func(ctx context.Context) error { return a.calendars().prune(ctx, a) },
		func(ctx context.Context) error { return a.webhooks().prune(ctx, a) },
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes a thing; one in use is switched off if it can be (off is nil
// where it can't or where it is off already), and else stays.
func (a *applier) remove(kind, name string, remove func() error, off func() error) error {
	err := remove()
	if err == nil {
		a.lines = append(a.lines, "- "+kind+" "+name)
		return nil
	}
	if store.ReasonOf(err) != store.ReasonInUse {
		return err
	}
	if off == nil {
		return nil
	}
	a.lines = append(a.lines, "~ "+kind+" "+name+": active: true -> false (it is in use)")
	return off()
}

// pruneSubscriptions ends the ties that a channel of the file doesn't list.
func (a *applier) pruneSubscriptions(ctx context.Context) error {
	for _, e := range a.file.Channels {
		channel := a.desk.ChannelByName(e.Name)
		for _, s := range a.desk.Subscriptions {
			email := a.agentName(s.AgentID)
			listed := slices.ContainsFunc(e.Subscriptions, func(w SubscriptionEntry) bool { return keyOf(w.Agent) == keyOf(email) })
			if s.ChannelID != channel.ID || listed {
				continue
			}
			a.lines = append(a.lines, "- channel "+shown(e.Name)+": subscription of "+email)
			if err := a.tx.DeleteSubscription(ctx, s.ChannelID, s.AgentID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *applier) pruneAccounts(ctx context.Context) error {
	for _, m := range a.desk.Accounts {
		if slices.ContainsFunc(a.file.Accounts, func(e AccountEntry) bool { return keyOf(e.Address) == m.Key }) {
			continue
		}
		var off func() error
		if m.Active {
			m.Active = false
			off = func() error { return a.tx.PutAccount(ctx, m) }
		}
		if err := a.remove("mail account", m.Address, func() error { return a.tx.DeleteAccount(ctx, m.ID) }, off); err != nil {
			return err
		}
	}
	return nil
}

func (a *applier) pruneChannels(ctx context.Context) error {
	channels := slices.Clone(a.desk.Channels)
	slices.SortStableFunc(channels, func(x, y store.Channel) int { // what escalates goes before what it escalates to
		return strings.Compare(y.Escalation.ToChannelID, x.Escalation.ToChannelID)
	})
	for _, c := range channels {
		if slices.ContainsFunc(a.file.Channels, func(e ChannelEntry) bool { return e.Name == c.Name }) {
			continue
		}
		var off func() error
		if c.Active {
			c.Active = false
			off = func() error { return a.tx.PutChannel(ctx, c) }
		}
		if err := a.remove("channel", shown(c.Name), func() error { return a.tx.DeleteChannel(ctx, c.ID) }, off); err != nil {
			return err
		}
	}
	return nil
}

// pruneAgents keeps the admins where the file names none: somebody must be
// able to set the desk up.
func (a *applier) pruneAgents(ctx context.Context) error {
	namesAdmin := slices.ContainsFunc(a.file.Agents, func(e AgentEntry) bool {
		agent := a.desk.AgentByKey(keyOf(e.Email))
		return agent.Active && agent.Role == store.RoleAdmin
	})
	for _, agent := range a.desk.Agents {
		named := slices.ContainsFunc(a.file.Agents, func(e AgentEntry) bool { return keyOf(e.Email) == agent.Key })
		if named || agent.Role == store.RoleAdmin && !namesAdmin {
			continue
		}
		var off func() error
		if agent.Active {
			agent.Active = false
			off = func() error { return a.tx.PutAgent(ctx, agent) }
		}
		if err := a.remove("agent", agent.Email, func() error { return a.tx.DeleteAgent(ctx, agent.ID) }, off); err != nil {
			return err
		}
	}
	return nil
}

// pruneStatuses leaves a file alone that names none: no desk works without.
func (a *applier) pruneStatuses(ctx context.Context) error {
	if len(a.file.Statuses) == 0 {
		return nil
	}
	return a.statuses().prune(ctx, a)
}

// pruneContacts leaves those alone that mail or the outside CRM brought in: they
// are no part of what a file describes.
func (a *applier) pruneContacts(ctx context.Context) error {
	named := map[string]bool{}
	for _, e := range a.file.Contacts {
		for _, address := range e.Emails {
			named[keyOf(address)] = true
		}
	}
	for cursor := ""; ; {
		page, next, err := a.tx.Contacts(ctx, store.ContactFilter{Cursor: cursor, Limit: 200})
		if err != nil {
			return err
		}
		for _, c := range page {
			isNamed := slices.ContainsFunc(c.Emails, func(e store.ContactEmail) bool { return named[e.Key] })
			if c.Provisional || !c.SyncedAt.IsZero() || isNamed {
				continue
			}
			if err := a.remove("contact", c.Name, func() error { return a.tx.DeleteContact(ctx, c.ID) }, nil); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		cursor = next
	}
}

func (a *applier) pruneCompanies(ctx context.Context) error {
	for name, c := range a.companies {
		if slices.ContainsFunc(a.file.Companies, func(e CompanyEntry) bool { return e.Name == name }) {
			continue
		}
		if err := a.remove("company", shown(name), func() error { return a.tx.DeleteCompany(ctx, c.ID) }, nil); err != nil {
			return err
		}
	}
	return nil
}
