package provision

import (
	"slices"
	"strings"
)

// Metric is a metric of CloudWatch, as an activity's query names it.
type Metric struct {
	Statistic  string // Maximum, Average or Sum
	Namespace  string
	Name       string
	Dimensions [][2]string // name and value, which may be $1, $2, …
}

// ParseMetric reads "<statistic> <namespace> <metric> <dimension>=<value>…", such
// as "Maximum AWS/RDS DatabaseConnections DBInstanceIdentifier=$1". Anything else
// is Invalid.
func ParseMetric(query string) (Metric, error) {
	words := strings.Fields(query)
	if len(words) < 4 || !slices.Contains([]string{"Maximum", "Average", "Sum"}, words[0]) {
		return Metric{}, Errorf(Invalid, "%q is no metric: write Maximum, Average or Sum, a namespace, a metric and <dimension>=$1", query)
	}
	metric := Metric{Statistic: words[0], Namespace: words[1], Name: words[2]}
	for _, word := range words[3:] {
		name, value, ok := strings.Cut(word, "=")
		if !ok || name == "" || value == "" {
			return Metric{}, Errorf(Invalid, "%q is no dimension: write <name>=<value>", word)
		}
		metric.Dimensions = append(metric.Dimensions, [2]string{name, value})
	}
	return metric, nil
}
