package threading

import (
	"context"
	"slices"
	"strings"

	"ticketgate/store"
	"ticketgate/threading/message"
	"ticketgate/threading/rules"
)

// Bounds of the numbers of other systems.
const (
	maxForeignNumber  = 100     // octets
	maxNumberSubject  = 2 << 10 // octets of a subject in which they are looked for
	maxForeignNumbers = 10      // that a subject names
	maxForeignTickets = 10      // that have one of them
)

// number gives the number that a rule takes out of a mail, or "".
func (r *rule) number(f *rules.Facts) string {
	e := r.Actions.Extract
	if e == nil || r.pattern == nil || f.Message == nil {
		return ""
	}
	places := []string{shortened(f.Message.Subject, maxNumberSubject)}
	if e.From == store.ExtractText {
		places = append(places, f.Message.Text)
	}
	for _, place := range places {
		if found := numbersIn(r, place, 1); len(found) > 0 {
			return found[0]
		}
	}
	return ""
}

// numbersIn gives the numbers in a text as they are kept, each once.
func numbersIn(r *rule, text string, most int) []string {
	var list []string
	for _, found := range r.pattern.FindAllStringSubmatch(text, most) {
		number := found[0]
		if len(found) > 1 && found[1] != "" {
			number = found[1]
		}
		number = strings.ToUpper(message.CleanLine(number))
		if number != "" && len(number) <= maxForeignNumber && !slices.Contains(list, number) {
			list = append(list, number)
		}
	}
	return list
}

// foreignNumbers finds the tickets whose custom fields hold a number that the
// subject names, where a rule takes such numbers out of mail.
func (g *gatherer) foreignNumbers(ctx context.Context) error {
	void := ""
	if len(g.Message.Duplicated) > 0 {
		void = "a header field stands twice"
	}
	subject := shortened(g.Message.Subject, maxNumberSubject)
	for _, r := range g.s.rulebook(g.desk).byWhen[store.RuleOnIntake] {
		if r.pattern == nil {
			continue
		}
		f := g.desk.CustomFieldByKey(r.Actions.Extract.Field)
		if f == nil {
			continue
		}
		for _, number := range numbersIn(r, subject, maxForeignNumbers) {
			tickets, err := g.tx.TicketsByField(ctx, f.ID, []string{number}, maxForeignTickets)
			if err != nil {
				return err
			}
			for _, ticket := range tickets {
				s := SignalFacts{Kind: SignalForeignNumber, Value: number, Void: void, Unsigned: !g.trusts("subject")}
				if err := g.add(ctx, s, ticket); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
