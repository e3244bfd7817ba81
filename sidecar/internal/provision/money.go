package provision

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Money is an amount in thousandths of a US dollar (mills). Amounts are
// compared exactly and rounded only for display.
type Money int64

// Dollar is one US dollar.
const Dollar Money = 1000

// String is the amount with a dollar sign and two decimals, half away from
// zero, thousands separated: "$2,130.00".
func (m Money) String() string {
	cents := m.Cents()
	sign := ""
	if cents < 0 {
		sign, cents = "-", -cents
	}
	whole := strconv.FormatInt(cents/100, 10)
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return fmt.Sprintf("%s$%s.%02d", sign, whole, cents%100)
}

// Cents is the amount in cents, rounded half away from zero.
func (m Money) Cents() int64 {
	if m < 0 {
		return -(-m).Cents()
	}
	return (int64(m) + 5) / 10
}

// Decimal is the exact amount in dollars with two or three decimals: "85.50",
// "100.005".
func (m Money) Decimal() string {
	sign := ""
	if m < 0 {
		sign, m = "-", -m
	}
	s := fmt.Sprintf("%s%d.%03d", sign, m/1000, m%1000)
	return strings.TrimSuffix(s, "0")
}

// MarshalJSON writes the exact amount as a JSON number of dollars: 85.50.
func (m Money) MarshalJSON() ([]byte, error) { return []byte(m.Decimal()), nil }

// UnmarshalJSON reads a JSON number of dollars with at most three decimals.
func (m *Money) UnmarshalJSON(b []byte) error {
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("money %s: %w", b, err)
	}
	v, err := ParseMoney(n.String())
	if err != nil {
		return err
	}
	*m = v
	return nil
}

// ParseMoney reads a decimal number of dollars with at most three decimals.
func ParseMoney(s string) (Money, error) {
	digits := strings.TrimPrefix(s, "-")
	whole, frac, _ := strings.Cut(digits, ".")
	if len(frac) > 3 {
		return 0, Errorf(Invalid, "%q has more than three decimals of a dollar", s)
	}
	w, err := strconv.ParseInt(whole, 10, 50)
	if err != nil {
		return 0, Errorf(Invalid, "%q is not an amount of dollars", s)
	}
	f, err := strconv.ParseUint((frac + "000")[:3], 10, 16)
	if err != nil {
		return 0, Errorf(Invalid, "%q is not an amount of dollars", s)
	}
	v := Money(w)*Dollar + Money(f)
	if strings.HasPrefix(s, "-") {
		v = -v
	}
	return v, nil
}
