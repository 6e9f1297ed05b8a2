import { describe, expect, test } from 'vitest';
import { diffusersLayer, parseLoraName } from './lora-names.ts';

describe('a name of each trainer', () => {
  const query = 'down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q';
  const out = 'up_blocks_0_attentions_2_transformer_blocks_9_attn2_to_out_0';
  const text = 'text_model_encoder_layers_3_self_attn_k_proj';
  test.each([
    ['lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q.lora_down.weight', 'unet', query, 'down'],
    ['lora_unet_up_blocks_0_attentions_2_transformer_blocks_9_attn2_to_out_0.alpha', 'unet', out, 'alpha'],
    ['lora_unet_conv_in.lora_mid.weight', 'unet', 'conv_in', 'middle'],
    ['lora_te_text_model_encoder_layers_3_self_attn_k_proj.lora_up.weight', 'textEncoder', text, 'up'],
    ['lora_te1_text_model_encoder_layers_3_self_attn_k_proj.lora_up.weight', 'textEncoder', text, 'up'],
    ['lora_te2_text_model_encoder_layers_3_self_attn_k_proj.alpha', 'textEncoder2', text, 'alpha'],
    ['unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.up.weight', 'unet', query, 'up'],
    ['up_blocks.0.attentions.2.transformer_blocks.9.attn2.processor.to_out_lora.down.weight', 'unet', out, 'down'],
    ['unet.up_blocks.0.attentions.2.transformer_blocks.9.attn2.to_out.0.lora.down.weight', 'unet', out, 'down'],
    ['unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight', 'unet', query, 'down'],
    [
      'base_model.model.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.lora_B.default.weight',
      'unet',
      query,
      'up',
    ],
    ['text_encoder.text_model.encoder.layers.3.self_attn.to_k_lora.down.weight', 'textEncoder', text, 'down'],
    [
      'text_encoder_2.text_model.encoder.layers.3.self_attn.k_proj.lora_linear_layer.up.weight',
      'textEncoder2',
      text,
      'up',
    ],
    ['base_model.model.text_model.encoder.layers.3.self_attn.k_proj.lora_A.weight', 'textEncoder', text, 'down'],
    ['lora_unet_conv_in.hada_t2', 'unet', 'conv_in', 'hada_t2'],
    ['lora_unet_conv_in.lokr_w2', 'unet', 'conv_in', 'lokr_w2'],
    ['lora_te_text_model_encoder_layers_3_self_attn_k_proj.lokr_w1_b', 'textEncoder', text, 'lokr_w1_b'],
    ['lora_te2_text_model_encoder_layers_3_self_attn_k_proj.b1.weight', 'textEncoder2', text, 'b1'],
    ['lora_unet_conv_norm_out.w_norm', 'unet', 'conv_norm_out', 'w_norm'],
    ['conv_norm_out.b_norm', 'unet', 'conv_norm_out', 'b_norm'],
    ['unet.conv_in.diff', 'unet', 'conv_in', 'diff'],
    ['text_encoder_2.text_model.encoder.layers.3.self_attn.k_proj.diff_b', 'textEncoder2', text, 'diff_b'],
    [
      'unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.processor.to_q.dora_scale',
      'unet',
      query,
      'dora_scale',
    ],
    ['up_blocks.0.attentions.2.transformer_blocks.9.attn2.processor.to_out.alpha', 'unet', out, 'alpha'],
  ] as const)('%s', (name, target, layer, part) => expect(parseLoraName(name)).toEqual({ target, layer, part }));

  test.each([
    'lora_unet_mid_block_attentions_0_proj_in.hada_w3_a',
    'lora_unet_mid_block_attentions_0_proj_in.oft_blocks',
    'lora_unet_mid_block_attentions_0_proj_in.a1',
    'unet.conv_in.weight',
    'lora_prior_unet.lora_down.weight',
    'emp_params',
  ])('%s is no part of a LoRA', (name) => expect(parseLoraName(name)).toBeUndefined());
});

describe('a layer in the layout of training code', () => {
  test.each([
    ['input_blocks_4_1_transformer_blocks_0_attn1_to_q', 'down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q'],
    ['input_blocks_8_0_in_layers_2', 'down_blocks_2_resnets_1_conv1'],
    ['input_blocks_4_0_emb_layers_1', 'down_blocks_1_resnets_0_time_emb_proj'],
    ['input_blocks_7_0_skip_connection', 'down_blocks_2_resnets_0_conv_shortcut'],
    ['input_blocks_3_0_op', 'down_blocks_0_downsamplers_0_conv'],
    ['input_blocks_0_0', 'conv_in'],
    ['middle_block_1_proj_out', 'mid_block_attentions_0_proj_out'],
    ['middle_block_2_out_layers_3', 'mid_block_resnets_1_conv2'],
    [
      'output_blocks_2_1_transformer_blocks_9_ff_net_0_proj',
      'up_blocks_0_attentions_2_transformer_blocks_9_ff_net_0_proj',
    ],
    ['output_blocks_2_1_conv', 'up_blocks_0_upsamplers_0_conv'],
    ['output_blocks_5_2_conv', 'up_blocks_1_upsamplers_0_conv'],
    ['time_embed_2', 'time_embedding_linear_2'],
    ['label_emb_0_0', 'add_embedding_linear_1'],
    ['out_2', 'conv_out'],
    ['mid_block_attentions_0_proj_in', 'mid_block_attentions_0_proj_in'],
    ['text_model_encoder_layers_11_mlp_fc1', 'text_model_encoder_layers_11_mlp_fc1'],
  ])('%s', (original, expected) => expect(diffusersLayer(original, 3)).toBe(expected));
});
