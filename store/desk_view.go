package store

// Channel gives a channel, or nil.
func (d *Desk) Channel(id string) *Channel {
	for i := range d.Channels {
		if d.Channels[i].ID == id {
			return &d.Channels[i]
		}
	}
	return nil
}

// ChannelByName gives the channel of this very name, or nil.
func (d *Desk) ChannelByName(name string) *Channel {
	for i := range d.Channels {
		if d.Channels[i].Name == name {
			return &d.Channels[i]
		}
	}
	return nil
}

// Status gives a status, or nil.
func (d *Desk) Status(id string) *Status {
	for i := range d.Statuses {
		if d.Statuses[i].ID == id {
			return &d.Statuses[i]
		}
	}
	return nil
}

// Responsibility says whose turn it is with a ticket of a channel in a status,
// one of the Responsible words; none for a status that does not exist.
func (d *Desk) Responsibility(channelID, statusID string) string {
	status := d.Status(statusID)
	if status == nil {
		return ResponsibleNone
	}
	if c := d.Channel(channelID); c != nil && !status.Closed && c.Responsibilities[statusID] != "" {
		return c.Responsibilities[statusID]
	}
	return status.Responsibility
}

// StatusByName gives the status of this very name, or nil.
func (d *Desk) StatusByName(name string) *Status {
	for i := range d.Statuses {
		if d.Statuses[i].Name == name {
			return &d.Statuses[i]
		}
	}
	return nil
}

// Account gives a mail account, or nil.
func (d *Desk) Account(id string) *MailAccount {
	for i := range d.Accounts {
		if d.Accounts[i].ID == id {
			return &d.Accounts[i]
		}
	}
	return nil
}

// AccountByKey gives the mail account, active or not, whose address or alias
// has this comparison form, or nil.
func (d *Desk) AccountByKey(key string) *MailAccount { return d.accounts[key] }

// Agent gives an agent, or nil.
func (d *Desk) Agent(id string) *Agent {
	for i := range d.Agents {
		if d.Agents[i].ID == id {
			return &d.Agents[i]
		}
	}
	return nil
}

// AgentByKey gives the agent, active or not, whose address has this comparison
// form, or nil.
func (d *Desk) AgentByKey(key string) *Agent { return d.agents[key] }

// Subscription gives the type of an agent's tie to a channel, or "".
func (d *Desk) Subscription(channelID, agentID string) string {
	for _, s := range d.Subscriptions {
		if s.ChannelID == channelID && s.AgentID == agentID {
			return s.Type
		}
	}
	return ""
}

// Subscribers gives the active agents who are subscribed to a channel in this
// way.
func (d *Desk) Subscribers(channelID, subscription string) []*Agent {
	var all []*Agent
	for _, s := range d.Subscriptions {
		if s.ChannelID != channelID || s.Type != subscription {
			continue
		}
		if a := d.Agent(s.AgentID); a != nil && a.Active {
			all = append(all, a)
		}
	}
	return all
}

// Sees tells whether an agent sees the tickets of a channel: he is subscribed,
// either way, or an admin.
func (d *Desk) Sees(agentID, channelID string) bool {
	if a := d.Agent(agentID); a == nil || a.Role == RoleAdmin {
		return a != nil
	}
	return d.Subscription(channelID, agentID) != ""
}

// VisibleChannels gives the ids of the channels whose tickets an agent sees.
func (d *Desk) VisibleChannels(agentID string) []string {
	var ids []string
	for i := range d.Channels {
		if d.Sees(agentID, d.Channels[i].ID) {
			ids = append(ids, d.Channels[i].ID)
		}
	}
	return ids
}

// StandardChannels gives the ids of the channels that an agent is subscribed to
// as standard.
func (d *Desk) StandardChannels(agentID string) []string {
	var ids []string
	for _, s := range d.Subscriptions {
		if s.AgentID == agentID && s.Type == SubscriptionStandard {
			ids = append(ids, s.ChannelID)
		}
	}
	return ids
}

// index makes the look-ups by address.
func (d *Desk) index() {
	d.accounts = make(map[string]*MailAccount, len(d.Accounts))
	for i := range d.Accounts {
		a := &d.Accounts[i]
		d.accounts[a.Key] = a
		for _, key := range a.AliasKeys {
			d.accounts[key] = a
		}
	}
	d.agents = make(map[string]*Agent, len(d.Agents))
	for i := range d.Agents {
		d.agents[d.Agents[i].Key] = &d.Agents[i]
	}
}
