// The model of `forecast.model.build_model` on the simulated panel, as a careful user of Stan would write it: vectorised,
// the linear part of the log-likelihood by sufficient statistics, effects of levels not centred.
data {
  int<lower=1> N, K, C, G, P, J;  // rows, covariates, causes, groups, periods, countries
  array[N] int<lower=1> country, group, period;
  matrix[N, K] x;
  vector[N] log_exposure;
  matrix[N, C] events;
  vector[C] baseline_mean, baseline_sd;
  int<lower=1> M, L, H;  // challenges, covariates of results, kinds
  array[M] int<lower=1> kind, result, challenge_group;
  matrix[M, L] z;
  vector[M] log_days, removed;
}
transformed data {
  matrix[K, C] by_covariate = x' * events;
  matrix[G, C] by_group = rep_matrix(0, G, C);
  matrix[P, C] by_period = rep_matrix(0, P, C);
  matrix[J, C] by_country = rep_matrix(0, J, C);
  for (i in 1:N) {
    by_group[group[i]] += events[i];
    by_period[period[i]] += events[i];
    by_country[country[i]] += events[i];
  }
}
parameters {
  vector[C] baseline;
  vector<lower=0>[C] period_effect_sd, group_effect_sd, country_effect_sd;
  matrix[P, C] period_effect_z;
  matrix[G, C] group_effect_z;
  matrix[J, C] country_effect_z;
  matrix[K, C] beta;
  vector[H] failed_cut;
  vector<lower=0>[H] concession_gap, result_group_effect_sd;
  matrix[G, H] result_group_effect_z;
  matrix[L, H] result_beta;
  vector[H] log_days_mean;
  vector<lower=0>[H] log_days_sd;
  vector[H] removal_log_days;
}
model {
  baseline ~ normal(baseline_mean, baseline_sd);
  period_effect_sd ~ normal(0, 0.3);
  group_effect_sd ~ normal(0, 0.5);
  country_effect_sd ~ normal(0, 0.5);
  to_vector(period_effect_z) ~ std_normal();
  to_vector(group_effect_z) ~ std_normal();
  to_vector(country_effect_z) ~ std_normal();
  to_vector(beta) ~ normal(0, 0.5);
  failed_cut ~ std_normal();
  concession_gap ~ normal(0.5, 0.5);
  result_group_effect_sd ~ normal(0, 0.5);
  to_vector(result_group_effect_z) ~ std_normal();
  to_vector(result_beta) ~ normal(0, 0.5);
  log_days_mean ~ normal(2, 2);
  log_days_sd ~ normal(0, 1.5);
  removal_log_days ~ std_normal();
  for (c in 1:C) {
    vector[P] walk = cumulative_sum(period_effect_sd[c] * col(period_effect_z, c));
    vector[P] period_effect = walk - walk[P];
    vector[G] group_effect = baseline[c] + group_effect_sd[c] * col(group_effect_z, c);
    vector[J] country_effect = country_effect_sd[c] * col(country_effect_z, c);
    target += dot_product(col(by_covariate, c), col(beta, c)) + dot_product(col(by_group, c), group_effect)
              + dot_product(col(by_period, c), period_effect) + dot_product(col(by_country, c), country_effect)
              - sum(exp(log_exposure + x * col(beta, c) + group_effect[group] + period_effect[period]
                        + country_effect[country]));
  }
  {
    matrix[M, H] scores = z * result_beta;
    vector[M] score;
    for (i in 1:M) {
      int k = kind[i];
      score[i] = scores[i, k] + result_group_effect_sd[k] * result_group_effect_z[challenge_group[i], k];
      result[i] ~ ordered_logistic(score[i], [failed_cut[k], failed_cut[k] + concession_gap[k]]');
    }
  }
  log_days ~ normal(log_days_mean[kind] + removed .* removal_log_days[kind], log_days_sd[kind]);
}
