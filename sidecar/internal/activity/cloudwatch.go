package activity

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"roadbed.dev/roadbed/sidecar/internal/provision"
)

// byCloudWatch reads the most of one metric in the last day, in the environment's
// region and, where its settings name one, under its role: with the worker's own
// identity, as providers find it. A metric without data is no reading: it must
// not pass for none used.
func byCloudWatch(ctx context.Context, environment provision.Environment, query string, arguments []string) (provision.Reading, error) {
	metric, err := provision.ParseMetric(query)
	if err != nil {
		return provision.Reading{}, err
	}
	settings, err := config.LoadDefaultConfig(ctx, config.WithRegion(environment.Region))
	if err != nil {
		return provision.Reading{}, away("the worker has no usable identity at AWS", err)
	}
	if role := environment.Settings["role_arn"]; role != "" {
		settings.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(settings), role))
	}
	end := time.Now().Truncate(time.Minute).Add(time.Minute)
	answer, err := cloudwatch.NewFromConfig(settings).GetMetricStatistics(ctx, &cloudwatch.GetMetricStatisticsInput{
		Namespace: &metric.Namespace, MetricName: &metric.Name, Dimensions: dimensions(metric, arguments),
		Statistics: []types.Statistic{types.Statistic(metric.Statistic)},
		StartTime:  aws.Time(end.AddDate(0, 0, -1)), EndTime: &end, Period: aws.Int32(24 * 60 * 60),
	})
	if err != nil {
		return provision.Reading{}, away("CloudWatch did not answer", err)
	}
	if len(answer.Datapoints) == 0 {
		return provision.Reading{}, provision.Errorf(provision.Unavailable, "CloudWatch has no %s of the instance for the last day", metric.Name)
	}
	var reading provision.Reading
	for _, point := range answer.Datapoints {
		for _, value := range []*float64{point.Maximum, point.Average, point.Sum} { // only the one that was asked for is set
			reading.Current = max(reading.Current, aws.ToFloat64(value))
		}
	}
	return reading, nil
}

// dimensions are a metric's with the arguments in place.
func dimensions(metric provision.Metric, arguments []string) []types.Dimension {
	filled := make([]types.Dimension, len(metric.Dimensions))
	for i, dimension := range metric.Dimensions {
		value := dimension[1]
		for n, argument := range arguments {
			if dimension[1] == fmt.Sprintf("$%d", n+1) {
				value = argument
			}
		}
		filled[i] = types.Dimension{Name: aws.String(dimension[0]), Value: &value}
	}
	return filled
}
