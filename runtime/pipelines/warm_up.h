// What a model has to do before it may serve: run once in every shape, and answer the golden edits as it did before.
#pragma once

#include "runtime/image/picture.h"
#include "runtime/pipelines/model_manifest.h"
#include "runtime/pipelines/pipeline.h"

namespace holdall::runtime::pipelines {

// Both throw runtime::Error{kBadModel} where the model refuses what its manifest asks for.

// One single-step edit of a grey picture per shape of the manifest. Throws what Pipeline::run() throws.
void warm_up(Pipeline& pipeline, const ModelManifest& manifest);

// Runs the manifest's golden edits. Throws runtime::Error{kBadModel} with the measured difference if an outcome differs
// by more than the tolerance, and naming the file if it is no picture; {kNotFound, kStorage} if it cannot be read.
void check_golden_edits(Pipeline& pipeline, const ModelManifest& manifest);

// Mean absolute difference of the 8-bit values; infinite for pictures of different sizes.
double mean_difference(const image::Picture& a, const image::Picture& b);

}  // namespace holdall::runtime::pipelines
