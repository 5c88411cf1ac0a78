package store

import "context"

const participantColumns = `ticket, key, address, name, active, trusted`

func scanParticipant(r Rows, p *Participant) error {
	return r.Scan(&p.Ticket, &p.Key, &p.Address, &p.Name, &p.Active, &p.Trusted)
}

// AddParticipants adds addresses to their tickets' conversations. One that is
// there becomes Trusted if p says so, and gets a name if it had none; it never
// loses either, and Active stays as it is.
func (tx *Tx) AddParticipants(ctx context.Context, participants []Participant) error {
	for _, p := range participants {
		err := tx.queue(ctx, `INSERT INTO participants (`+participantColumns+`) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (ticket, key) DO UPDATE SET trusted = participants.trusted OR excluded.trusted,
			name = CASE WHEN participants.name = '' THEN excluded.name ELSE participants.name END`,
			p.Ticket, p.Key, p.Address, p.Name, p.Active, p.Trusted)
		if err != nil {
			return err
		}
	}
	return nil
}

// Participants gives the addresses of a ticket's conversation.
func (tx *Tx) Participants(ctx context.Context, number int64) ([]Participant, error) {
	return list(ctx, tx, scanParticipant,
		`SELECT `+participantColumns+` FROM participants WHERE ticket = $1 ORDER BY key`, number)
}

// ParticipantsOf gives the addresses of tickets' conversations, by ticket.
func (tx *Tx) ParticipantsOf(ctx context.Context, numbers ...int64) (map[int64][]Participant, error) {
	found := make(map[int64][]Participant, len(numbers))
	if len(numbers) == 0 {
		return found, nil
	}
	condition, args := tx.inNumbers("ticket", 1, numbers)
	all, err := list(ctx, tx, scanParticipant,
		`SELECT `+participantColumns+` FROM participants WHERE `+condition+` ORDER BY ticket, key`, args...)
	for _, p := range all {
		found[p.Ticket] = append(found[p.Ticket], p)
	}
	return found, err
}

// IsParticipant tells whether an address belongs to a ticket's conversation,
// and how.
func (tx *Tx) IsParticipant(ctx context.Context, number int64, key string) (Participant, bool, error) {
	all, err := list(ctx, tx, scanParticipant,
		`SELECT `+participantColumns+` FROM participants WHERE ticket = $1 AND key = $2`, number, key)
	if err != nil || len(all) == 0 {
		return Participant{}, false, err
	}
	return all[0], true, nil
}

// SetParticipantActive says whether answers go to a participant.
func (tx *Tx) SetParticipantActive(ctx context.Context, number int64, key string, active bool) error {
	return tx.touched(ctx, "participant",
		`UPDATE participants SET active = $3 WHERE ticket = $1 AND key = $2`, number, key, active)
}
